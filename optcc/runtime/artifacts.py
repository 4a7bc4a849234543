"""What is made for a chain and for parameters of given shapes, whatever the numbers: programs and executables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
from xdsl.passes import ModulePass
from xdsl.traits import SymbolTable

from optcc.dialect import Role, Storage
from optcc.errors import TreeMismatchError, message
from optcc.formula.definition import Definition
from optcc.interpret.initial_state import initial_arrays, is_direct
from optcc.interpret.pairs import check_matches, compiled_program, init_program, update_program, uses_extra_args
from optcc.pass_through import has_objects, set_apart
from optcc.passes.apply_updates import ApplyUpdates
from optcc.program.arrays import data_shapes, keys_to_data, shapes_of
from optcc.program.program import Function, Program
from optcc.program.signature import ROLES
from optcc.runtime.collector import collector_paused
from optcc.runtime.donation import explained
from optcc.runtime.executables import EXECUTABLES, MAKING, Made, check_step, jit_init, jit_step, key_of
from optcc.runtime.hyperparameters import Hyperparameters
from optcc.runtime.packed_trees import Layout, Packed, layout_of, like_of, packed_function, trees_of
from optcc.runtime.primitive import BoundFunction
from optcc.runtime.stages import Staged, run_pipeline
from optcc.targets import Target, platform_of

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
        extra: Any = None,
        target: Target | None = None,
    ) -> None:
        self.source = program
        self.extra = extra
        self.target = target
        self._with_extra: dict[Any, Artifacts] = {}
        self._with_grads: dict[Any, Artifacts] = {}
        self._latest = self
        self._has_objects = False
        self.params = params
        self.grads = grads
        self.passes = tuple(passes)
        self.backend = backend
        self.asked_layout = layout
        self.steps = Made(self._step)
        self._updates: dict[Any, Function] = {}
        self._bound: dict[Any, BoundFunction] = {}

    @property
    def _options(self) -> dict[str, Any]:
        return {"backend": self.backend, "layout": self.asked_layout, "target": self.target}

    # The program

    @cached_property
    def program(self) -> Program:
        """`@init` and `@update`, as built, before any pass."""
        if isinstance(self.source, Program):
            return self.source
        return compiled_program(self.source, self.params, self.grads, self.extra)

    def with_extra(self, extra: Any) -> Artifacts:
        """What is made for a step with extra arguments, a pytree of shapes and dtypes."""
        if extra == self.extra:
            return self
        key = jax.tree.structure(extra), tuple((x.shape, x.dtype) for x in jax.tree.leaves(extra))
        if key not in self._with_extra:
            given = self.source, self.params, self.grads, self.passes
            self._with_extra[key] = Artifacts(*given, **self._options, extra=extra)
        return self._with_extra[key]

    def with_grads(self, grads: Any, params: Any) -> Artifacts:
        """What is made for gradients of other dtypes than those compiled for; this itself, where more differs.

        Gradients and parameters may both be in other containers, as NNX gives them: there `init` gets variables, and
        `update` their arrays.
        """
        if isinstance(self.source, Program) or isinstance(grads, Packed):
            return self
        leaves, structure = jax.tree.flatten(shapes_of(grads))
        own, same = jax.tree.flatten(self.grads)
        moved = structure != same and jax.tree.structure(params) == structure and len(leaves) == len(own)
        fit = (structure == same or moved) and all(_widens(x, y) for x, y in zip(leaves, own, strict=True))
        key = structure, tuple(x.dtype for x in leaves)
        if not fit or key == (same, tuple(x.dtype for x in own)):
            return self
        if key not in self._with_grads:
            like = jax.tree.unflatten(structure, jax.tree.leaves(self.params)) if moved else self.params
            given = self.source, like, jax.tree.unflatten(structure, leaves), self.passes
            self._with_grads[key] = Artifacts(*given, **self._options, extra=self.extra)
        return self._with_grads[key]

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
        leaves = data_shapes(self.state)
        moved = sum(x.size * x.dtype.itemsize for x in leaves) / MEMORY_SPEED
        one_array = "packed" if platform_of(self.target) == "cpu" else "tiled"
        return one_array if len(leaves) * BUFFER_COST > moved else "tree"

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

    def init(self, params: Sequence[Any], hypers: Hyperparameters) -> Any:
        """The initial state, from the leaves of the parameters: made directly, or within a trace as a program."""
        function = self._packed_init
        arrays = hypers.arrays(function)
        if is_direct(params, arrays):
            return trees_of(function, initial_arrays(function, params, arrays))[Role.STATE]
        make = partial(jit_init, BoundFunction(function, "stablehlo"))
        return EXECUTABLES.get(("init", key_of(function)), make)(params, arrays)

    @cached_property
    def _packed_init(self) -> Function:
        """`@init`, whose result is packed where states are."""
        return packed_function(self.init_function, [Role.STATE] if self.packs_state else [], self.storage)

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
        return packed_function(self.final.step, [role for role, yes in asked if yes], self.storage)

    def _step(self, grads: bool, state: bool, params: bool, donate: bool) -> Any:
        function = self.step_function(grads, state, params)
        key = "step", self.backend, key_of(function), donate
        return EXECUTABLES.get(key, lambda: jit_step(BoundFunction(function, self.backend), donate=donate))

    def run_step(
        self, grads: Any, state: Any, params: Any, hypers: Hyperparameters, extra: Any, *, donate: bool
    ) -> Any:
        """A step, in the dtypes of the gradients. Raises TreeMismatchError and DonationError.

        What JAX does not take as an argument, such as a function in a model, stays outside of the jitted step.
        """
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

    def _run_step(self, grads: Any, state: Any, params: Any, hypers: Hyperparameters, extra: Any, donate: bool) -> Any:
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

    def interpret_step(self, trees: Mapping[Role, Any], hypers: Sequence[Any]) -> dict[Role, Any]:
        """What a step gives, from the reference interpreter. Raises TreeMismatchError."""
        packed = (isinstance(trees[role], Packed) for role in (Role.UPDATES, Role.STATE, Role.PARAMS))
        function = self.step_function(*packed)
        check_step({role: like_of(function, role) for role in trees}, trees)
        flat = [jnp.asarray(x) for role in ROLES for x in keys_to_data(jax.tree.leaves(trees.get(role)))]
        arrays = BoundFunction(function, "stablehlo").interpret(*flat, *hypers)
        return trees_of(function, function.signature.data_to_keys([jnp.asarray(x) for x in arrays]))

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
        """`step`, traced and lowered by JAX, for the target if there is one."""
        function = self.step_function(*self.packs)
        with collector_paused():
            dtypes = self.final.step.signature
            hypers = tuple(jax.ShapeDtypeStruct((dtypes.hypers.count(dtype),), dtype) for dtype in dtypes.hyper_dtypes)
            like = (like_of(function, role) for role in (Role.PARAMS, Role.STATE, Role.UPDATES))
            shapes = *like, hypers, self.extra
            return self.steps[*self.packs, True].lower(
                *jax.tree.map(self.target.placed, shapes) if self.target else shapes
            )

    @cached_property
    def executable(self) -> Any:
        """`step`, compiled by XLA."""
        return self.lowered.compile(dict(self.target.compiler_options) if self.target else None)

    @property
    def donated_bytes(self) -> int:
        """Bytes of state and parameters, which `step` is given and gives back; of packed ones, with their gaps."""
        function = self.step_function(*self.packs)
        kept = [like_of(function, role) for role in (Role.PARAMS, Role.STATE)]
        return sum(x.size * x.dtype.itemsize for x in data_shapes(kept))


def _widens(got: Any, expected: Any) -> bool:
    """Whether a gradient may take another's place: of the same shape, and real or complex as that."""
    kinds = (jnp.floating, jnp.complexfloating)
    alike = any(jnp.issubdtype(got.dtype, kind) and jnp.issubdtype(expected.dtype, kind) for kind in kinds)
    return got.shape == expected.shape and alike
