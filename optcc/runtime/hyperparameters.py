"""The numbers of a chain that may change between steps: their names, their values, and the arrays that hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from xdsl.dialects.func import FuncOp

from optcc.dialect import hypers_in
from optcc.errors import did_you_mean, message
from optcc.formula.hyper_values import FIX, check_number, exact
from optcc.interpret import interpreter
from optcc.program.arrays import outside_trace
from optcc.program.program import Function, Program


class Hyperparameters:
    """The hyperparameters of a program by their names, at the values that the chain was written with, or at others."""

    def __init__(
        self,
        program: Callable[[], Program],
        changes: Mapping[str, ArrayLike] | None = None,
        check: Callable[[Mapping[str, Any]], None] | None = None,
        full_names: Mapping[str, str] | None = None,
    ) -> None:
        """`check` raises ValueError for values, by all names, that do not go together.

        `full_names` are further names, and which each stands for.
        """
        self._program = program
        self._check = check
        self._full_names = full_names or {}
        self._changes = dict(changes or {})
        self._on_device: dict[FuncOp, tuple[Any, ...]] = {}

    @property
    def values(self) -> dict[str, Any]:
        """Every hyperparameter's value. What is no number is part of the program and not listed."""
        program = self._program()
        ops = hypers_in(program.module)
        bindings = program.bindings
        written = {op.key.data: bindings[op.key.data] if op.default is None else op.default.value.data for op in ops}
        return written | self._changes

    def replaced(self, changes: Mapping[str, ArrayLike]) -> Hyperparameters:
        """The same ones with other values for some.

        Raises ValueError for a name that is no hyperparameter or a value out of range, and TypeError for one that is no
        number.
        """
        known = self.values
        changes = {self.name_of(name): value for name, value in changes.items()}
        for name, value in changes.items():
            if name not in known:
                hint = did_you_mean(name, known) or f"one of {', '.join(known) or 'none'}"
                raise ValueError(message(f"unknown hyperparameter {name!r}", "hyperparams", hint))
            check_number(name, value, "hyperparams", FIX)
        if self._check is not None:
            self._check(known | changes)
        return Hyperparameters(self._program, self._changes | changes, self._check, self._full_names)

    def name_of(self, name: str) -> str:
        """The short name of a hyperparameter; another name as it is."""
        return self._full_names.get(name, name)

    def check_step(self, names: Iterable[str], program: Program) -> None:
        """Check that a step reads hyperparameters of these names. Raises ValueError for one that only init reads."""
        functions = [op for op in program.module.ops if op is not program.init.op]
        ops = [op for function in functions for op in hypers_in(function)]
        read = {op.key.data for op in ops if any(op.results[0].uses)}
        for name in map(self.name_of, names):
            if name not in read:
                what = f"the step reads {name!r} from the state, where init put it"
                fix = "set it in state.hyperparams, or make the state with with_hyperparams(...).init"
                raise ValueError(message(what, "hyperparams", fix))

    def of(self, program: Callable[[], Program]) -> Hyperparameters:
        """The same values for another program of the same chain."""
        return Hyperparameters(program, self._changes, self._check, self._full_names)

    def arrays(self, function: Function) -> tuple[Any, ...]:
        """The arrays that a function takes behind those of the caller, one for each dtype.

        The function's program must have its hyperparameters lifted. Within a trace a value may be a tracer.
        """
        if function.host is None:
            return ()
        program = function.program
        bindings = dict(program.bindings) | {name: _as_array(value) for name, value in self._changes.items()}
        values = interpreter.evaluate(
            program.module, function.host.sym_name.data, [], bindings=bindings, callables=program.callables
        )
        stack: Any = jnp.stack if any(isinstance(v, Tracer) for v in values) else np.stack
        signature = function.signature
        columns: list[list[Any]] = [[] for _ in signature.hyper_dtypes]
        for value, (k, _) in zip(values, signature.hyper_elements, strict=True):
            columns[k].append(value.astype(signature.hyper_dtypes[k]))
        return tuple(map(stack, columns))

    def on_device(self, function: Function) -> tuple[Any, ...]:
        """`arrays`, put on the device once and not once a step, also if the first step is being traced."""
        if function.op not in self._on_device:
            with outside_trace(*function.program.bindings.values(), *self._changes.values()):
                # Not `jnp.asarray`, which binds an array to the mesh that is current, and it is kept.
                self._on_device[function.op] = tuple(map(jax.device_put, self.arrays(function)))
        return self._on_device[function.op]


def _as_array(value: Any) -> Any:
    """A value as the interpreter takes it: a number exactly, an array in its own dtype."""
    return np.float64(value) if isinstance(value, int | float) else jnp.asarray(exact(value))
