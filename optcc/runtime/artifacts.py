"""What is made for a chain and for parameters of given shapes, whatever the numbers: programs and executables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import jax
from jax.core import Tracer
from jax.sharding import NamedSharding
from xdsl.passes import ModulePass
from xdsl.traits import SymbolTable

from optcc.base import OptState, Params, PyTree, Updates
from optcc.dialect import Role, Storage
from optcc.errors import ShardingError, TreeMismatchError, message
from optcc.formula.definition import Definition
from optcc.interpret.initial_state import initial_arrays, is_direct
from optcc.interpret.pairs import check_matches, compiled_program, init_program, update_program, uses_extra_args
from optcc.pass_through import has_objects, set_apart
from optcc.passes.apply_updates import ApplyUpdates
from optcc.program.arrays import data_shapes, shapes_of
from optcc.program.placement import Placement, check_packable, placement_of, state_shardings
from optcc.program.program import Function, Program
from optcc.runtime.collector import collector_paused
from optcc.runtime.donation import explained
from optcc.runtime.executables import EXECUTABLES, MAKING, Made, interpret, jit_init, jit_step, key_of
from optcc.runtime.hyperparameters import Hyperparameters
from optcc.runtime.on_mesh import OnMesh, device_bytes, lies_as, on_mesh, per_device, shapes_on_mesh
from optcc.runtime.packed_trees import (
    Layout,
    Packed,
    cheapest_layout,
    layout_of,
    like_of,
    packed_function,
    trees_of,
)
from optcc.runtime.primitive import BoundFunction
from optcc.runtime.stages import Staged, run_pipeline
from optcc.runtime.update_and_apply import UpdateAndApply
from optcc.runtime.variants import Variants
from optcc.targets import platform_of


class Artifacts(Variants):
    """Everything that optimizers which differ in their numbers only have in common. Made when first asked for."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._latest = self
        self._has_objects = False
        self.steps = Made(self._step)
        self._updates: dict[Any, Function] = {}
        self._bound: dict[Any, BoundFunction | OnMesh] = {}
        self.both: dict[Any, UpdateAndApply] = {}

    # The program

    @cached_property
    def program(self) -> Program:
        """`@init` and `@update`, as built, before any pass."""
        if isinstance(self.source, Program):
            return self.source
        return compiled_program(self.source, self.params, self.grads, self.extra)

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
        if self.extra is None and isinstance(self.source, Definition) and uses_extra_args(self.source):
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
        """The layout of states: ``"tree"``, ``"packed"`` or ``"tiled"``."""
        if self.asked_layout != "auto":
            return self.asked_layout
        if self.placement is not None and self.placement.is_split:
            return "tree"
        return cheapest_layout(data_shapes(self.state), platform_of(self.target))

    @property
    def packs_state(self) -> bool:
        """Whether `init` returns a packed state."""
        return self.layout != "tree"

    @property
    def packs(self) -> tuple[bool, bool, bool]:
        """Which of gradients, state and parameters are packed in the step that reports are of: tiled, all are."""
        return self.layout == "tiled", self.packs_state, self.layout == "tiled"

    @property
    def storage(self) -> Storage:
        """How trees are kept that are packed."""
        return Storage.TILED if self.layout == "tiled" else Storage.PACKED

    @cached_property
    def state(self) -> Any:
        """Shapes and dtypes of the state with an array for each leaf."""
        return self.init_function.shapes(Role.STATE, results=True)

    @property
    def kept_state(self) -> Any:
        """Shapes and dtypes of the state as `init` returns it."""
        return like_of(self.step_function(False, self.packs_state, False), Role.STATE)

    @cached_property
    def layouts(self) -> dict[Role, Layout]:
        """Where each leaf is when gradients, state or parameters are packed."""
        return {
            role: layout_of(self.final.step, role, self.storage) for role in (Role.UPDATES, Role.STATE, Role.PARAMS)
        }

    # Functions that run

    def init(self, params: Sequence[jax.Array], hypers: Hyperparameters) -> Any:
        """The initial state, from the leaves of the parameters: made directly, or within a trace as a program."""
        function = self._packed_init
        arrays = hypers.arrays(function)
        if is_direct(params, arrays):
            placed = initial_arrays(function, params, arrays, self.shardings(self._placement_of(params)))
            return trees_of(function, placed)[Role.STATE]
        make = partial(jit_init, BoundFunction(function, "stablehlo"))
        return EXECUTABLES.get(("init", key_of(function)), make)(params, arrays)

    def shardings(self, placement: Placement | None) -> list[NamedSharding] | None:
        """Where each array of a state is, given where the parameters are; None where these do not say."""
        if placement is None:
            return None
        if self.packs_state:
            check_packable(placement, self.layout, self.params)
            return None
        # The step says which arrays are what is left of a parameter. Without its extra arguments there is none.
        alone = self.init_function.program is not self.final
        return None if alone else state_shardings(self.final.step, placement)

    @cached_property
    def _packed_init(self) -> Function:
        """`@init`, whose result is packed where states are."""
        return packed_function(self.init_function, [Role.STATE] if self.packs_state else [], self.storage)

    def convert(self, name: str, state: OptState) -> Any:
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
        return packed_function(self.final.step, [role for role, yes in asked if yes], self.storage)

    def _step(self, grads: bool, state: bool, params: bool, donate: bool) -> Any:
        function = self.step_function(grads, state, params)
        key = "step", self.backend, key_of(function), donate, self.placement
        return EXECUTABLES.get(key, lambda: jit_step(self._bind(function), donate=donate))

    def _bind(self, function: Function) -> BoundFunction | OnMesh:
        """What runs a function, on the mesh if there is one."""
        whole = BoundFunction(function, self.backend)
        return whole if self.placement is None else on_mesh(whole, self.placement)

    @cached_property
    def per_device(self) -> Function | str:
        """The step of reports on one device's parts of the arrays, or why it runs on whole ones."""
        assert self.placement is not None
        try:
            return per_device(self.step_function(*self.packs), self.placement)
        except ShardingError as error:
            return str(error).replace("\n  where: ", ", ")

    def for_arrays(self, params: Params, state: OptState) -> Artifacts:
        """What is made for where arrays are. Within a trace that is not known, and is what was compiled for."""
        leaves = jax.tree.leaves(params)
        if leaves and isinstance(leaves[0], Tracer):
            replicated = self.placement is not None and not self.placement.is_split
            return self.on(None) if replicated else self
        made = self.on(self._placement_of(leaves))
        return made if made.placement is None or made.packs_state or lies_as(state, made.kept) else self.on(None)

    def _placement_of(self, params: Sequence[jax.Array]) -> Placement | None:
        """Where parameters are: mostly where those are that were compiled for."""
        if not params or not isinstance(getattr(params[0], "sharding", None), NamedSharding):
            return None
        return self.placement if self.placement and lies_as(params, self._given) else placement_of(params)

    @cached_property
    def _given(self) -> list[NamedSharding]:
        return self.placement.given if self.placement else []

    @cached_property
    def kept(self) -> list[NamedSharding]:
        """Where each array of the state is on the mesh."""
        return self.shardings(self.placement) or []

    def run_step(
        self, grads: Updates, state: OptState, params: Params, hypers: Hyperparameters, extra: PyTree, *, donate: bool
    ) -> Any:
        """A step, in the dtypes of the gradients. Raises TreeMismatchError and DonationError.

        What JAX does not take as an argument, such as a function in a model, stays outside of the jitted step.
        """
        made = self.for_arrays(params, state)
        if made is not self:
            return made.run_step(grads, state, params, hypers, extra, donate=donate)
        if not self._has_objects:
            try:
                return self._run_step(grads, state, params, hypers, extra, donate)
            except TypeError:
                if not has_objects((grads, params)):
                    raise
                self._has_objects = True
            except (RuntimeError, ValueError) as error:
                found = explained(error, {"params": params, "state": state, "grads": grads})
                if found is None:
                    raise
                raise found from error
        grads, params, aside = set_apart(grads, params, self.grads)
        params, state = self._run_step(grads, state, params, hypers, extra, donate)
        return aside.with_params(params, self.final.zeroed), state

    def _run_step(
        self, grads: Updates, state: OptState, params: Params, hypers: Hyperparameters, extra: PyTree, donate: bool
    ) -> Any:
        """To compare dtypes would cost every step some microseconds, so the step of the last dtypes is tried first."""
        packed = isinstance(grads, Packed), isinstance(state, Packed), isinstance(params, Packed)

        def run(made: Artifacts) -> Any:
            return made.steps[*packed, donate](params, state, grads, hypers.on_device(made.final.step), extra)

        try:
            return run(self._latest)
        except TreeMismatchError:
            made = self.with_grads(*set_apart(grads, params, self.grads)[:2])
            if made is self._latest:
                raise
        self._latest = made
        return run(made)

    def interpret_step(self, trees: Mapping[Role, PyTree], hypers: Sequence[jax.Array]) -> dict[Role, Any]:
        """What a step gives, from the reference interpreter. Raises TreeMismatchError."""
        packed = (isinstance(trees[role], Packed) for role in (Role.UPDATES, Role.STATE, Role.PARAMS))
        return interpret(self.step_function(*packed), trees, hypers)

    def update(self, with_params: bool, extra: PyTree) -> tuple[BoundFunction | OnMesh, Function]:
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
                # What is bound may be another optimizer's, with other numbers.
                known = "update", self.backend, key_of(function), self.placement
                self._bound[key] = EXECUTABLES.get(known, partial(self._bind, function))
                self._updates[key] = function
        return self._bound[key], self._updates[key]

    # What XLA makes of it

    @cached_property
    def lowered(self) -> Any:
        """`step`, traced and lowered by JAX, for the target if there is one."""
        with collector_paused():
            return self.steps[*self.packs, True].lower(*self.arguments)

    @cached_property
    def arguments(self) -> Any:
        """Shapes and dtypes of parameters, state, gradients, hyperparameters and extra arguments, on the target, or
        with the shardings that they have on the mesh."""
        function, dtypes = self.step_function(*self.packs), self.final.step.signature
        hypers = tuple(jax.ShapeDtypeStruct((dtypes.hypers.count(dtype),), dtype) for dtype in dtypes.hyper_dtypes)
        like = (like_of(function, role) for role in (Role.PARAMS, Role.STATE, Role.UPDATES))
        shapes = *like, hypers, self.extra
        if self.target:
            return jax.tree.map(self.target.placed, shapes)
        if self.placement is None or any(self.packs):
            return shapes
        return shapes_on_mesh(shapes, self.placement, self.shardings(self.placement))

    @cached_property
    def executable(self) -> Any:
        """`step`, compiled by XLA."""
        return self.lowered.compile(dict(self.target.compiler_options) if self.target else None)

    @property
    def donated_bytes(self) -> int:
        """Bytes of state and parameters on one device, which `step` is given and gives back; of packed ones, with their
        gaps."""
        return device_bytes(self.arguments[:2])
