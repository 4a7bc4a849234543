"""From a built program to sweeps: the pipeline, with every stage kept as text on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.passes import ModulePass
from xdsl.traits import SymbolTable

from optcc.dialect import context
from optcc.dtypes import dtype_of
from optcc.errors import did_you_mean, message
from optcc.interpret import interpreter
from optcc.passes import Stage, run_passes
from optcc.passes.lift_hyperparameters import HOST_SUFFIX
from optcc.program.program import Program
from optcc.runtime.collector import collector_paused

BUILT = "optim"
"""The stage before any pass."""
LAST = "sweeps"
"""The stage after the last pass."""


@dataclass(frozen=True)
class Staged:
    """A program after a pipeline, with the module of every stage and the seconds each pass took."""

    program: Program
    modules: tuple[tuple[str, ModuleOp], ...]
    seconds: tuple[tuple[str, float], ...]

    def module(self, stage: str) -> ModuleOp:
        """The module of a stage: `optim`, the name of a pass (its last run), a run of it as `cse#2`, or `sweeps`.

        Raises ValueError for another name, with the nearest ones.
        """
        stage, _, run = stage.partition("#")
        found = [module for name, module in self.modules if name == stage]
        if run:
            if not run.isdecimal() or not 1 <= int(run) <= len(found):
                raise ValueError(message(f"there is no run {run!r} of {stage!r}", fix=f"it has {len(found)} runs"))
            return found[int(run) - 1]
        if not found:
            names = list(dict.fromkeys(name for name, _ in self.modules))
            raise ValueError(message(f"unknown stage {stage!r}", fix=did_you_mean(stage, names) or f"one of {names}"))
        return found[-1]


@collector_paused()
def run_pipeline(program: Program, passes: Sequence[ModulePass], *, keep: bool = True) -> Staged:
    """Run passes on a copy of a program's module; with `keep`, a copy of every stage is kept."""
    module = program.module.clone()
    modules: list[tuple[str, ModuleOp]] = [(BUILT, program.module)]
    seconds: list[tuple[str, float]] = []

    def after(stage: Stage) -> None:
        seconds.append((stage.name, stage.seconds))
        if keep:
            modules.append((stage.name, stage.module.clone()))

    run_passes(module, passes, context(), after_each=after)
    modules.append((LAST, module))
    return Staged(program.with_module(module), tuple(modules), tuple(seconds))


def function_of(program: Program) -> FuncOp:
    """The function that runs every step."""
    function = SymbolTable.lookup_symbol(program.module, program.name)
    assert isinstance(function, FuncOp)
    return function


@dataclass(frozen=True)
class HyperValues:
    """The scalars that the function takes besides the caller's arrays, one array for each dtype.

    `layout` says, for each such argument in order, which array and which element of it.
    """

    arrays: tuple[Any, ...]
    layout: tuple[tuple[int, int], ...] = field(default=())


def hyper_values(program: Program, overrides: Mapping[str, Any] | None = None) -> HyperValues:
    """Evaluate the hyperparameters' function of a program whose hyperparameters were lifted.

    `overrides` are values, by name, in place of those that the chain was written with.
    """
    name = program.name + HOST_SUFFIX
    host = SymbolTable.lookup_symbol(program.module, name)
    if host is None:
        return HyperValues(())
    assert isinstance(host, FuncOp)
    bindings = dict(program.bindings) | {key: _as_hyper(value) for key, value in (overrides or {}).items()}
    values = interpreter.evaluate(program.module, name, [], bindings=bindings, callables=program.callables)
    dtypes = [dtype_of(t) for t in host.function_type.outputs]
    order = list(dict.fromkeys(dtypes))
    columns: list[list[Any]] = [[] for _ in order]
    layout: list[tuple[int, int]] = []
    for value, dtype in zip(values, dtypes, strict=True):
        k = order.index(dtype)
        layout.append((k, len(columns[k])))
        columns[k].append(value)
    # Within a trace a hyperparameter may be a tracer, which numpy cannot hold.
    stack: Any = jnp.stack if any(isinstance(v, Tracer) for v in values) else np.stack
    arrays = (stack([v.astype(d) for v in column]) for column, d in zip(columns, order, strict=True))
    return HyperValues(tuple(arrays), tuple(layout))


def check_hyper(name: str, value: Any) -> None:
    """Raises TypeError for a value that a hyperparameter cannot take: one that is no real number, or has axes."""
    is_number = isinstance(value, int | float | np.number | np.ndarray | jax.Array) and not isinstance(value, bool)
    if not is_number or np.shape(value) or jnp.issubdtype(jnp.result_type(value), jnp.complexfloating):
        text = f"hyperparameter {name!r} must be a number or a 0-d array, got {value!r}"
        fix = "what is no number is part of the program: write a chain with it and compile that"
        raise TypeError(message(text, "hyperparams", fix))


def _as_hyper(value: Any) -> Any:
    """A hyperparameter's value as the interpreter takes it: a number exactly, an array in its own dtype."""
    return np.float64(value) if isinstance(value, bool | int | float) else jnp.asarray(value)
