"""What is made for a chain and for parameters of given shapes, whatever the numbers: programs and executables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

import jax
from xdsl.passes import ModulePass
from xdsl.traits import SymbolTable

from optcc.dialect import Role
from optcc.errors import message
from optcc.formula.definition import Definition
from optcc.interpret.pairs import check_matches, compiled_program, init_program, update_program, uses_extra_args
from optcc.passes.apply_updates import ApplyUpdates
from optcc.program.arrays import data_shapes, shapes_of
from optcc.program.program import Function, Program
from optcc.runtime.collector import collector_paused
from optcc.runtime.executables import EXECUTABLES, MAKING, jit_init, jit_step, key_of
from optcc.runtime.packed_trees import Layout, layout_of, like_of, packed_function
from optcc.runtime.primitive import BoundFunction
from optcc.runtime.stages import Staged, run_pipeline

BUFFER_COST = 7.5e-6
"""Seconds that one array of a state costs as an input and an output of a jitted call; measured on XLA:CPU."""
MEMORY_SPEED = 57e9
"""Bytes a second, of the machine that `BUFFER_COST` was measured on."""


class Artifacts:
    """Everything that optimizers which differ in their numbers only have in common. Made when first asked for."""

    def __init__(
        self,
        program: Program | Definition,
        params: Any,
        grads: Any,
        passes: Sequence[ModulePass],
        *,
        backend: str,
        layout: str,
    ) -> None:
        self.source = program
        self.params = params
        self.grads = grads
        self.passes = tuple(passes)
        self.backend = backend
        self.asked_layout = layout
        self.steps = Made(self._step)
        self._updates: dict[Any, Function] = {}
        self._bound: dict[Any, BoundFunction] = {}

    # The program

    @cached_property
    def program(self) -> Program:
        """`@init` and `@update`, as built, before any pass."""
        if isinstance(self.source, Program):
            return self.source
        return compiled_program(self.source, self.params, self.grads)

    @cached_property
    def staged(self) -> Staged:
        """The program after the passes, with all stages between."""
        return run_pipeline(self.program, self.passes)

    @property
    def final(self) -> Program:
        """The program after the passes: what each array is, is read from it."""
        return self.staged.program

    @cached_property
    def init_function(self) -> Function:
        """`@init` after the passes; alone where `@update` may not be built without its extra arguments."""
        if isinstance(self.source, Definition) and uses_extra_args(self.source):
            program, _ = init_program(self.source, self.params)
            return run_pipeline(program, self._update_passes, keep=False).program.init
        return self.final.init

    @property
    def _update_passes(self) -> list[ModulePass]:
        """The passes of a program that returns updates."""
        return [one for one in self.passes if not isinstance(one, ApplyUpdates)]

    # Layouts

    @cached_property
    def layout(self) -> str:
        """The layout of states: ``"tree"`` or ``"packed"``."""
        if self.asked_layout != "auto":
            return self.asked_layout
        leaves = data_shapes(self.state)
        moved = sum(x.size * x.dtype.itemsize for x in leaves) / MEMORY_SPEED
        return "packed" if len(leaves) * BUFFER_COST > moved else "tree"

    @cached_property
    def state(self) -> Any:
        """Shapes and dtypes of the state with an array for each leaf."""
        return self.init_function.shapes(Role.STATE, results=True)

    @property
    def kept_state(self) -> Any:
        """Shapes and dtypes of the state as `init` returns it."""
        return like_of(self.step_function(False, self.layout == "packed", False), Role.STATE)

    @cached_property
    def layouts(self) -> dict[Role, Layout]:
        """Where each leaf is when gradients, state or parameters are packed."""
        return {role: layout_of(self.final.step, role) for role in (Role.UPDATES, Role.STATE, Role.PARAMS)}

    # Functions that run

    @cached_property
    def init(self) -> Any:
        """The jitted `init`, of the leaves of the parameters and of hyperparameters."""
        function = packed_function(self.init_function, [Role.STATE] if self.layout == "packed" else [])
        make = partial(jit_init, BoundFunction(function, "stablehlo"))
        return EXECUTABLES.get(("init", key_of(function)), make)

    def convert(self, name: str, state: Any) -> Any:
        """A state after `@from_optax` or `@to_optax`, which a pass that changes the state adds; else as it is."""
        if SymbolTable.lookup_symbol(self.final.module, name) is None:
            return state
        function = self.final.function(name)
        check_matches(shapes_of(state), function.shapes(Role.STATE), "state", "the state compiled for", dtypes=True)
        make = partial(jit_init, BoundFunction(function, "stablehlo"))
        return EXECUTABLES.get((name, key_of(function)), make)(jax.tree.leaves(state), ())

    def step_function(self, grads: bool, state: bool, params: bool) -> Function:
        """`@step` with the pytrees packed that are said to be."""
        asked = ((Role.UPDATES, grads), (Role.STATE, state), (Role.PARAMS, params))
        return packed_function(self.final.step, [role for role, yes in asked if yes])

    def _step(self, grads: bool, state: bool, params: bool) -> Any:
        function = self.step_function(grads, state, params)
        key = "step", self.backend, key_of(function)
        return EXECUTABLES.get(key, lambda: jit_step(BoundFunction(function, self.backend)))

    def update(self, with_params: bool, extra: Any) -> tuple[BoundFunction, Function]:
        """`@update` with or without parameters, and with extra arguments: what runs, and whose numbers it takes.

        Raises TypeError for a program that was given as a module, which has a step only.
        """
        if isinstance(self.source, Program):
            raise TypeError(message("a module that was compiled as text has no `update`", fix="use `step`"))
        shapes = shapes_of(extra)
        key = with_params, jax.tree.structure(shapes), tuple((x.shape, x.dtype) for x in jax.tree.leaves(shapes))
        with MAKING:
            if key not in self._updates:
                params = self.params if with_params else None
                state = init_program(self.source, self.params)[0].init.shapes(Role.STATE, results=True)
                program = update_program(self.source, self.grads, state, params, shapes)
                function = run_pipeline(program, self._update_passes, keep=False).program.update
                make = partial(BoundFunction, function, self.backend)
                # What is bound may be another optimizer's, with other numbers.
                self._bound[key] = EXECUTABLES.get(("update", self.backend, key_of(function)), make)
                self._updates[key] = function
        return self._bound[key], self._updates[key]

    # What XLA makes of it

    @cached_property
    def lowered(self) -> Any:
        """`step`, traced and lowered by JAX."""
        with collector_paused():
            dtypes = self.final.step.signature
            hypers = tuple(jax.ShapeDtypeStruct((dtypes.hypers.count(dtype),), dtype) for dtype in dtypes.hyper_dtypes)
            step = self.steps[False, self.layout == "packed", False]
            return step.lower(self.params, self.kept_state, self.grads, hypers)

    @cached_property
    def executable(self) -> Any:
        """`step`, compiled by XLA."""
        return self.lowered.compile()

    @property
    def donated_bytes(self) -> int:
        """Bytes of state and parameters, which `step` is given and gives back; of a packed state, with its gaps."""
        return sum(x.size * x.dtype.itemsize for x in data_shapes((self.params, self.kept_state)))


class Made(dict[tuple[bool, bool, bool], Any]):
    """The jitted steps by which of gradients, state and parameters are packed; made when first asked for."""

    def __init__(self, make: Callable[[bool, bool, bool], Any]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: tuple[bool, bool, bool]) -> Any:
        return self.setdefault(key, self._make(*key))
