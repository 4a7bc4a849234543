"""`CompiledOptimizer`: a chain compiled for given parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import jax
from xdsl.passes import ModulePass

from optcc import base
from optcc.dialect import HyperOp
from optcc.errors import did_you_mean, message
from optcc.formula.definition import Definition
from optcc.interpret.pairs import check_matches, init_program, relevant_extra_args, update_program
from optcc.passes import PIPELINES
from optcc.passes.lift_hyperparameters import LiftHyperparameters
from optcc.program.build import grads_like
from optcc.program.program import Program, data_shapes, outside_trace, shapes_of
from optcc.runtime.backends import check_backend
from optcc.runtime.collector import collector_paused
from optcc.runtime.executables import EXECUTABLES, MAKING, check_step, jit_init, jit_step, key_of
from optcc.runtime.packed_trees import (
    PARAMS,
    STATE,
    UPDATES,
    Layout,
    PackedParams,
    PackedState,
    check_layout,
    layout_of,
    pack_tree,
    packed_program,
)
from optcc.runtime.primitive import BoundProgram, bind
from optcc.runtime.stages import HyperValues, Staged, check_hyper, function_of, hyper_values, run_pipeline

LAYOUTS = ("tree", "packed", "auto")
"""`tree` keeps states as Optax has them, `packed` in a few buffers; `auto` packs where buffers cost more than bytes."""
BUFFER_COST = 7.5e-6
"""Seconds that one array of a state costs as an input and an output of a jitted call; measured on XLA:CPU."""
MEMORY_SPEED = 57e9
"""Bytes a second, of the machine that `BUFFER_COST` was measured on."""


class CompiledOptimizer:
    """A compiled gradient transformation: `init`, `update` and `step`, and a look at every stage.

    Everything is made when it is first asked for. Hyperparameters are inputs of the compiled code: optimizers that
    differ in their numbers only share one executable.
    """

    def __init__(
        self,
        definition: Definition,
        params: Any,
        *,
        examples: int = 1,
        backend: str = "auto",
        layout: str = "tree",
        pipeline: Sequence[ModulePass] = PIPELINES["step"],
    ) -> None:
        check_backend(backend)
        if layout not in LAYOUTS:
            raise ValueError(message(f"unknown layout {layout!r}", fix=f"one of {', '.join(LAYOUTS)}"))
        self.backend = backend
        self._overrides: dict[str, Any] = {}
        self._asked_layout = layout
        self.pipeline = tuple(pipeline)
        self._definition = definition
        self._params = params
        self._grads = grads_like(definition, params, examples)
        # Shared with the optimizers that `with_hyperparams` makes.
        self._steps = _Steps(self._step)
        self._updates: dict[Any, tuple[BoundProgram, Program]] = {}

    # Running

    def init(self, params: base.Params) -> base.OptState:
        """The initial state, packed in the layout ``"packed"``.

        Raises TreeMismatchError for parameters other than those compiled for.
        """
        if isinstance(params, PackedParams):
            params = self.unpack(params)
        check_matches(shapes_of(params), self._params, "params", "the params compiled for", dtypes=True)
        function, values = self._init
        state = function(jax.tree.leaves(params), values)
        return self.pack_state(state) if self.layout == "packed" else state

    def update(
        self, updates: base.Updates, state: base.OptState, params: base.Params | None = None, **extra_args: Any
    ) -> tuple[base.Updates, base.OptState]:
        """Transform updates, as Optax's ``update``; for use inside a computation of your own, under ``jax.jit``.

        Each of the three may be packed, and is unpacked for it; new updates and state are packed if the old ones are.
        Raises TreeMismatchError for arrays that do not fit the parameters compiled for.
        """
        if isinstance(state, PackedState):
            new_updates, new_state = self.update(updates, self.unpack_state(state), params, **extra_args)
            return new_updates, self.pack_state(new_state)
        if isinstance(params, PackedParams):
            params = self.unpack(params)
        if isinstance(updates, PackedParams):
            new_updates, new_state = self.update(self.unpack(updates), state, params, **extra_args)
            return self.pack(new_updates), new_state
        check_step(self._grads, self._params, self._state, updates, state, params)
        extra = relevant_extra_args(self._definition, extra_args)
        executable, values = self._update(params is not None, extra)
        flat = bind(executable, [*jax.tree.leaves((updates, state, params, extra)), *values.arrays])
        return jax.tree.unflatten(jax.tree.structure(executable.program.out_shapes), flat)

    def step(
        self,
        grads: base.Updates,
        state: base.OptState,
        params: base.Params,
        *,
        hyperparams: Mapping[str, Any] | None = None,
    ) -> tuple[base.Params, base.OptState]:
        """Update and apply, in place: returns new parameters and state.

        ``state`` and ``params`` are donated: their buffers are used for the results and must not be used again. Each of
        the three may be packed; new parameters and state are packed if the old ones are. ``hyperparams`` are values
        for this step, by the names of `hyperparams`; they do not compile anything anew.
        Raises TreeMismatchError for arrays that do not fit the parameters compiled for, and ValueError for a name that
        is no hyperparameter.
        """
        values = self._hypers if hyperparams is None else self.with_hyperparams(hyperparams)._hypers
        return self._steps[
            isinstance(grads, PackedParams), isinstance(state, PackedState), isinstance(params, PackedParams)
        ](params, state, grads, values)

    # Packing

    @cached_property
    def layout(self) -> str:
        """The layout of states: ``"tree"`` or ``"packed"``."""
        if self._asked_layout != "auto":
            return self._asked_layout
        leaves = data_shapes(self._state)
        moved = sum(x.size * x.dtype.itemsize for x in leaves) / MEMORY_SPEED
        return "packed" if len(leaves) * BUFFER_COST > moved else "tree"

    def pack_state(self, state: base.OptState) -> PackedState:
        """A state, as Optax has it, in one array for each field and dtype. Nothing is lost."""
        check_matches(shapes_of(state), self._state, "state", "the state for the params compiled for", dtypes=True)
        return PackedState(pack_tree(self._layouts[STATE], state), self._layouts[STATE])

    def unpack_state(self, packed: PackedState) -> base.OptState:
        """The inverse of `pack_state`. Raises TreeMismatchError for a state that was packed for other parameters."""
        check_layout(packed, self._layouts[STATE], "state")
        return self._layouts[STATE].unpack(packed.arrays)

    def pack(self, params: base.Params) -> PackedParams:
        """Parameters, or gradients of the same dtypes, in one array for each dtype."""
        check_matches(shapes_of(params), self._params, "params", "the params compiled for", dtypes=True)
        return PackedParams(pack_tree(self._layouts[PARAMS], params), self._layouts[PARAMS])

    def unpack(self, packed: PackedParams) -> base.Params:
        """The inverse of `pack`; in a loss, its gradient with respect to ``packed`` is packed, too.

        Raises TreeMismatchError for parameters that were packed for another optimizer.
        """
        check_layout(packed, self._layouts[PARAMS], "params")
        return self._layouts[PARAMS].unpack(packed.arrays)

    @property
    def state_layout(self) -> Layout:
        """The arrays of a packed state, and where each leaf is in them."""
        return self._layouts[STATE]

    @cached_property
    def _layouts(self) -> dict[str, Layout]:
        return {part: layout_of(self.program, part) for part in (UPDATES, STATE, PARAMS)}

    # Hyperparameters

    @property
    def hyperparams(self) -> dict[str, Any]:
        """The numeric hyperparameters by their names, such as ``"1.learning_rate"``: chain index and keyword.

        They are inputs of the compiled step, or of `init`. What is not a number (a flag, None, a schedule, a dtype) is
        part of the program and not listed.
        """
        defaults = {
            op.key.data: op.default.value.data if op.default is not None else program.bindings[op.key.data]
            for program in (self._init_program, self.program)
            for op in program.module.walk()
            if isinstance(op, HyperOp)
        }
        return defaults | self._overrides

    def with_hyperparams(self, hyperparams: Mapping[str, Any]) -> CompiledOptimizer:
        """The same optimizer with other values for some hyperparameters; nothing is compiled.

        Raises ValueError for a name that is no hyperparameter, and TypeError for a value that is no number.
        """
        known = self._hyper_names
        for name, value in hyperparams.items():
            if name not in known:
                hint = did_you_mean(name, known) or f"one of {', '.join(known) or 'none'}"
                raise ValueError(message(f"unknown hyperparameter {name!r}", "hyperparams", hint))
            check_hyper(name, value)
        _ = self.staged  # made here, so that all copies have it
        other = copy(self)
        for name in ("_hypers", "_init"):
            other.__dict__.pop(name, None)
        other._overrides = self._overrides | dict(hyperparams)
        return other

    @cached_property
    def _hyper_names(self) -> tuple[str, ...]:
        return tuple(self.hyperparams)

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

    def llvm(self) -> str:
        """The LLVM IR of the native kernels of `step`, after optimization for this machine."""
        return "\n".join(kernel.optimized for kernel in self._kernels)

    def asm(self) -> str:
        """The machine code of the native kernels of `step`, as text."""
        return "\n".join(kernel.assembly for kernel in self._kernels)

    def report(self) -> str:
        """Sweeps, bytes against the floor, kernels, aliasing and temporaries of `step`, as text."""
        from optcc.report import report_text

        return report_text(self)

    @property
    def _kernels(self) -> list[Any]:
        from optcc.lowering.native.calls import kernels_of
        from optcc.lowering.native.llvm import compile_source

        if self.backend == "stablehlo":
            return []
        return [compile_source(kernel.source) for kernel in kernels_of(function_of(self.staged.program))]

    @cached_property
    def staged(self) -> Staged:
        """The program of `step` with all its stages."""
        staged = run_pipeline(self.program, self.pipeline)
        out_shapes = (self._params, self.program.out_shapes[1])
        return replace(staged, program=replace(staged.program, out_shapes=out_shapes))

    @cached_property
    def program(self) -> Program:
        """The program of `update`, as built, before any pass."""
        return update_program(self._definition, self._grads, self._state, self._params)

    @cached_property
    def lowered(self) -> Any:
        """`step`, traced and lowered by JAX."""
        with collector_paused():
            hypers = tuple(jax.ShapeDtypeStruct(a.shape, a.dtype) for a in self._hypers)
            step = self._steps[False, self.layout == "packed", False]
            return step.lower(self._params, self._kept_state, self._grads, hypers)

    @cached_property
    def executable(self) -> Any:
        """`step`, compiled by XLA."""
        return self.lowered.compile()

    @property
    def donated_bytes(self) -> int:
        """Bytes of state and parameters, which `step` is given and gives back; of a packed state, with its gaps."""
        return sum(x.size * x.dtype.itemsize for x in data_shapes((self._params, self._kept_state)))

    # Making

    @property
    def _init_program(self) -> Program:
        return init_program(self._definition, self._params)[0]

    @cached_property
    def _state(self) -> Any:
        return self._init_program.out_shapes

    @property
    def _kept_state(self) -> Any:
        """Shapes and dtypes of the state as `init` returns it."""
        if self.layout == "tree":
            return self._state
        return self._layouts[STATE].like(PackedState)

    @cached_property
    def _init(self) -> tuple[Any, tuple[Any, ...]]:
        """The jitted `init`, of the leaves of the parameters and of hyperparameters, and those."""
        program = run_pipeline(self._init_program, (LiftHyperparameters(),), keep=False).program
        values = hyper_values(program, self._overrides)
        key = "init", *key_of(program, values)
        make = partial(jit_init, BoundProgram(program, values.layout, "stablehlo"))
        return EXECUTABLES.get(key, make), _kept(program, self._overrides)

    @cached_property
    def _hypers(self) -> tuple[Any, ...]:
        return _kept(self.staged.program, self._overrides)

    def _step(self, grads: bool, state: bool, params: bool) -> Any:
        """The jitted step for packed gradients, state and parameters."""
        program = self.staged.program
        values = hyper_values(program)
        packed = [part for part, yes in ((UPDATES, grads), (STATE, state), (PARAMS, params)) if yes]
        key = ("step", self.backend, tuple(packed), *key_of(program, values))

        def make() -> Any:
            called = packed_program(program, {part: self._layouts[part] for part in packed}) if packed else program
            return jit_step(BoundProgram(called, values.layout, self.backend))

        return EXECUTABLES.get(key, make)

    def _update(self, with_params: bool, extra: Any) -> tuple[BoundProgram, HyperValues]:
        shapes = shapes_of(extra)
        key = with_params, jax.tree.structure(shapes), tuple((x.shape, x.dtype) for x in jax.tree.leaves(shapes))
        with MAKING:
            if key not in self._updates:
                params = self._params if with_params else None
                program = update_program(self._definition, self._grads, self._state, params, shapes)
                program = run_pipeline(program, PIPELINES["update"], keep=False).program
                values = hyper_values(program)
                shared = ("update", self.backend, *key_of(program, values))
                make = partial(BoundProgram, program, values.layout, self.backend)
                self._updates[key] = EXECUTABLES.get(shared, make), program
        executable, program = self._updates[key]
        # The executable may be another optimizer's, with other numbers.
        return executable, hyper_values(program, self._overrides)


class _Steps(dict[tuple[bool, bool, bool], Any]):
    """The jitted steps by which of gradients, state and parameters are packed; made when first asked for."""

    def __init__(self, make: Callable[..., Any]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: tuple[bool, bool, bool]) -> Any:
        return self.setdefault(key, self._make(*key))


def _kept(program: Program, overrides: Mapping[str, Any]) -> tuple[Any, ...]:
    """Hyperparameters on the device, to be put there once and not once a step, also if the first is being traced."""
    with outside_trace(*program.bindings.values(), *overrides.values()):
        # Not `jnp.asarray`, which binds an array to the mesh that is current, and the optimizer keeps it.
        return tuple(map(jax.device_put, hyper_values(program, overrides).arrays))
