"""`CompiledOptimizer`: a chain compiled for given parameters."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from optcc import base
from optcc.ir.definition import Definition
from optcc.ir.evaluate import check_matches, init_program, interpret_init, relevant_extra_args, update_program
from optcc.ir.program import Program, shapes_of
from optcc.passes import PIPELINES
from optcc.runtime.primitive import Executable, bind
from optcc.runtime.stages import HyperValues, Staged, function_of, hyper_values, run_pipeline

_EXECUTABLES: dict[Any, tuple[Executable, Any]] = {}
"""Executables and their jitted step by what they compute, so that chains that differ in numbers only share them."""


class CompiledOptimizer:
    """A compiled gradient transformation: `init`, `update` and `step`, and a look at every stage.

    Everything is made when it is first asked for. Hyperparameters are inputs of the compiled code: optimizers that
    differ in their numbers only share one executable.
    """

    def __init__(self, definition: Definition, params: Any) -> None:
        self._definition = definition
        self._params = params

    # Running

    def init(self, params: base.Params) -> base.OptState:
        """The initial state. Raises TreeMismatchError for parameters other than those compiled for."""
        check_matches(shapes_of(params), self._params, "params", "the params compiled for", dtypes=True)
        return self._init(params)

    def update(
        self, updates: base.Updates, state: base.OptState, params: base.Params | None = None, **extra_args: Any
    ) -> tuple[base.Updates, base.OptState]:
        """Transform updates, as Optax's ``update``; for use inside a computation of your own, under ``jax.jit``.

        Raises TreeMismatchError for arrays that do not fit the parameters compiled for.
        """
        self._check(updates, state, params)
        extra = relevant_extra_args(self._definition, extra_args)
        executable, values = self._update(params is not None, extra)
        flat = bind(executable, [*jax.tree.leaves((updates, state, params, extra)), *values.arrays])
        return jax.tree.unflatten(jax.tree.structure(executable.program.out_shapes), flat)

    def step(self, grads: base.Updates, state: base.OptState, params: base.Params) -> tuple[base.Params, base.OptState]:
        """Update and apply, in place: returns new parameters and state.

        ``state`` and ``params`` are donated: their buffers are used for the results and must not be used again.
        Raises TreeMismatchError for arrays that do not fit the parameters compiled for.
        """
        return self._step(params, state, grads, self._hypers)

    # Looking

    def ir(self, stage: str = "sweeps") -> str:
        """The IR of `step` at a stage: ``"optim"`` (as built), the name of a pass, or ``"sweeps"``.

        Raises ValueError for another stage.
        """
        return f"{self.staged.module(stage)!s}\n"

    def stablehlo(self) -> str:
        """The StableHLO of `step`, for the device that JAX runs on."""
        return self.lowered.as_text()

    def hlo(self) -> str:
        """The HLO of `step` after XLA's optimization."""
        text = self.executable.as_text()
        assert text is not None
        return text

    def report(self) -> str:
        """Sweeps, bytes against the floor, kernels, aliasing and temporaries of `step`, as text."""
        from optcc.report import report_text

        return report_text(self)

    @cached_property
    def staged(self) -> Staged:
        """The program of `step` with all its stages."""
        staged = run_pipeline(self.program, PIPELINES["step"])
        out_shapes = (self._params, self.program.out_shapes[1])
        return replace(staged, program=replace(staged.program, out_shapes=out_shapes))

    @cached_property
    def program(self) -> Program:
        """The program of `update`, as built, before any pass."""
        return update_program(self._definition, self._params, self._state, self._params)

    @cached_property
    def lowered(self) -> Any:
        """`step`, traced and lowered by JAX."""
        hypers = tuple(jax.ShapeDtypeStruct(a.shape, a.dtype) for a in self._hypers)
        return self._step.lower(self._params, self._state, self._params, hypers)

    @cached_property
    def executable(self) -> Any:
        """`step`, compiled by XLA."""
        return self.lowered.compile()

    @property
    def donated_bytes(self) -> int:
        """Bytes of state and parameters, which `step` is given and gives back."""
        return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves((self._params, self._state)))

    # Making

    @cached_property
    def _state(self) -> Any:
        return init_program(self._definition, self._params)[0].out_shapes

    @cached_property
    def _init(self) -> Any:
        return jax.jit(partial(interpret_init, self._definition))

    @cached_property
    def _hypers(self) -> tuple[Any, ...]:
        # On the device once, not once a step.
        return tuple(map(jnp.asarray, hyper_values(self.staged.program).arrays))

    @cached_property
    def _step(self) -> Any:
        program = self.staged.program
        values = hyper_values(program)
        key = _key(program, values)
        if key not in _EXECUTABLES:
            executable = Executable(program, values.layout)
            _EXECUTABLES[key] = executable, _jit_step(executable, self._params, self._state)
        return _EXECUTABLES[key][1]

    @cached_property
    def _updates(self) -> dict[Any, tuple[Executable, HyperValues]]:
        return {}

    def _update(self, with_params: bool, extra: Any) -> tuple[Executable, HyperValues]:
        shapes = shapes_of(extra)
        key = with_params, jax.tree.structure(shapes), tuple((x.shape, x.dtype) for x in jax.tree.leaves(shapes))
        if key not in self._updates:
            params = self._params if with_params else None
            program = update_program(self._definition, self._params, self._state, params, shapes)
            staged = run_pipeline(program, PIPELINES["update"], keep=False)
            values = hyper_values(staged.program)
            self._updates[key] = Executable(staged.program, values.layout), values
        return self._updates[key]

    def _check(self, updates: Any, state: Any, params: Any) -> None:
        check_step(self._params, self._state, updates, state, params)


def check_step(params_like: Any, state_like: Any, grads: Any, state: Any, params: Any) -> None:
    """Check arrays against the parameters and state compiled for. Raises TreeMismatchError."""
    check_matches(shapes_of(grads), params_like, "grads", "the params compiled for", dtypes=True)
    check_matches(shapes_of(state), state_like, "state", "the state for the params compiled for", dtypes=True)
    if params is not None:
        check_matches(shapes_of(params), params_like, "params", "the params compiled for", dtypes=True)


def _jit_step(executable: Executable, params_like: Any, state_like: Any) -> Any:
    """The jitted step. Parameters and state come first, in the order of the results, so that XLA, which pairs donated
    buffers with results of their shape in order, gives each array its own buffer back."""

    def optcc_step(params: Any, state: Any, grads: Any, hypers: Any) -> Any:
        check_step(params_like, state_like, grads, state, params)
        flat = bind(executable, [*jax.tree.leaves((grads, state, params)), *hypers])
        return jax.tree.unflatten(jax.tree.structure(executable.program.out_shapes), flat)

    return jax.jit(optcc_step, donate_argnums=(0, 1))


def _key(program: Program, values: HyperValues) -> Any:
    """What an executable depends on: the function that runs every step, and the pytrees around it."""
    opaque = tuple(sorted((name, id(f)) for name, f in program.callables.items()))
    shapes = [str(np.dtype(x.dtype)) for x in jax.tree.leaves(program.in_shapes)]
    tables = "".join(str(op) for op in program.module.ops if op.name == "optim.leaves")
    structures = jax.tree.structure(program.in_shapes), jax.tree.structure(program.out_shapes)
    return str(function_of(program)), tables, values.layout, structures, tuple(shapes), opaque
