"""`CompiledOptimizer`: a chain compiled for given parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
from jax.typing import ArrayLike
from xdsl.passes import ModulePass

from optcc import base
from optcc.base import Params, PyTree, Updates
from optcc.dialect import Role
from optcc.formula.definition import Definition
from optcc.formula.hyper_names import full_names
from optcc.formula.hyper_values import check_definition, check_together
from optcc.interpret.pairs import check_matches
from optcc.pass_through import set_apart, set_aside
from optcc.passes import PIPELINES
from optcc.passes.rewrite.state_slots import FROM_OPTAX, TO_OPTAX
from optcc.program.arrays import leaf_table, shapes_of
from optcc.program.build import grads_like
from optcc.program.placement import Placement, check_packable
from optcc.program.program import Program
from optcc.runtime.artifacts import Artifacts
from optcc.runtime.backends import check_backend
from optcc.runtime.executables import call, check_step, extra_arrays, jit_training
from optcc.runtime.hyperparameters import Hyperparameters
from optcc.runtime.inspection import Inspectable
from optcc.runtime.packed_trees import Layout, PackedParams, PackedState, check_layout, check_layout_name, pack_tree
from optcc.runtime.update_and_apply import both_of, update_and_apply
from optcc.sizes import check_sizes
from optcc.sums import offer
from optcc.targets import target_of


class CompiledOptimizer(Inspectable):
    """A compiled gradient transformation: `init`, `update` and `step`, and a look at every stage.

    Everything is made when it is first asked for. Hyperparameters are inputs of the compiled code: optimizers that
    differ in their numbers only share one executable.
    """

    def __init__(
        self,
        program: Definition | Program,
        params: Params,
        *,
        examples: int = 1,
        backend: str = "auto",
        layout: str = "tree",
        pipeline: Sequence[ModulePass] = PIPELINES["step"],
        extra_args: Mapping[str, PyTree] | None = None,
        grads: Updates = None,
        target: str | None = None,
        placement: Placement | None = None,
    ) -> None:
        check_backend(backend)
        self.target = target_of(target) if target else None
        check_layout_name(layout)
        check_sizes((f"params, leaf '{leaf.path}'", leaf.shape) for leaf in leaf_table(params))
        if isinstance(program, Definition):
            check_definition(program)
        self.backend, self.pipeline = backend, tuple(pipeline)
        like = grads_like(program, params, examples) if isinstance(program, Definition) else params
        grads = like if grads is None else shapes_of(set_apart(grads, like)[0])
        check_matches(grads, like, "grads", "the params", dtypes=False)
        check_packable(placement, layout, params)
        options: Any = {"backend": backend, "layout": layout, "target": self.target, "placement": placement}
        self._made = Artifacts(program, params, grads, pipeline, extra=extra_args, **options)
        self._hypers: Hyperparameters | None = None

    @property
    def _hyperparameters(self) -> Hyperparameters:
        if self._hypers is None:
            source = self._made.source
            check, known = None, {}
            if isinstance(source, Definition):
                check, known = partial(check_together, source), full_names(source)
            self._hypers = Hyperparameters(lambda: self._made.program, check=check, full_names=known)
        return self._hypers

    # Running

    def init(self, params: base.Params) -> base.OptState:
        """The initial state, packed in the layouts ``"packed"`` and ``"tiled"``.

        On a mesh a moment is where its parameter is, and what is factored where the rest of that is. Raises
        TreeMismatchError for other parameters, and ShardingError for packing what is not sharded alike.
        """
        if isinstance(params, PackedParams):
            params = self.unpack(params)
        made, params = self._made, set_aside(params)
        check_matches(shapes_of(params), made.params, "params", "the params compiled for", dtypes=True)
        return made.init(jax.tree.leaves(params), self._hyperparameters)

    def update(
        self, updates: base.Updates, state: base.OptState, params: base.Params | None = None, **extra_args: Any
    ) -> tuple[base.Updates, base.OptState]:
        """Transform updates, as Optax's ``update``; for use inside a computation of your own, under ``jax.jit``.

        There `optcc.apply_updates` of what it returns, to the parameters it was given, is part of the sweep.
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
        updates, params, aside = set_apart(updates, params, self._made.grads)
        made = self._made.with_grads(updates, params)
        made = made.for_arrays(updates if params is None else params, state)
        extra = extra_arrays(made.source, extra_args)
        trees = {Role.UPDATES: updates, Role.STATE: state, Role.PARAMS: params, Role.EXTRA: extra}
        check_step({Role.UPDATES: made.grads, Role.STATE: made.state, Role.PARAMS: made.params}, trees)
        bound, function = made.update(params is not None, extra)
        hypers = self._hyperparameters.arrays(function)
        if (both := both_of(made, bound, trees)) is None:
            found = call(bound, trees, hypers)
        else:
            of_step = self._hyperparameters.arrays(both.step.function)
            found, applied = update_and_apply(both, trees, [*hypers, *of_step])
            jax.tree.map(offer, found[Role.UPDATES], params, applied)
        return aside.with_updates(found[Role.UPDATES], function.program.zeroed), found[Role.STATE]

    def step(
        self,
        grads: base.Updates,
        state: base.OptState,
        params: base.Params,
        *,
        hyperparams: Mapping[str, ArrayLike] | None = None,
        donate: bool = True,
        **extra_args: Any,
    ) -> tuple[base.Params, base.OptState]:
        """Update and apply, in place: returns new parameters and state.

        ``grads`` may have other dtypes than the parameters. ``extra_args`` are arrays or pytrees of them that
        transformations of the chain ask for, such as ``value=``; others are ignored. Each combination of dtypes, names
        and shapes compiles a step of its own. ``state`` and ``params`` are donated: their buffers are used for the
        results and must not be used again; with ``donate=False`` they are kept. Within a jit of your own its
        ``donate_argnums`` say so. Each of the three may be packed; new parameters and state are packed if the old ones
        are. ``hyperparams`` are values for this step, by the names of `hyperparams`; they compile nothing.
        Raises TreeMismatchError for arrays that do not fit the parameters compiled for, DonationError for one donated
        before or given twice, and ValueError for an unknown hyperparameter, one in the state, or a value out of range.
        """
        extra = extra_arrays(self._made.source, extra_args)
        made, hypers = self._made.with_extra(shapes_of(extra)), self._hyperparameters
        if hyperparams is not None:
            hypers = hypers.of(lambda: made.program).replaced(hyperparams)
            hypers.check_step(hyperparams, made.program)
        return made.run_step(grads, state, params, hypers, extra, donate=donate)

    def jit_step(self, loss: Callable[..., Any], *, has_aux: bool = False) -> Callable[..., Any]:
        """A whole training step, in place.

        ``loss(params, *batch)`` returns a 0-d array, with ``has_aux`` a pair of that and anything else. The result is
        jitted: ``train(params, state, *batch)`` returns new parameters, new state and what the loss returned.
        ``params`` and ``state`` are donated and must not be used again. Packed parameters are returned packed.
        """
        return jit_training(self.step, self.unpack, loss, has_aux=has_aux)

    def interpret_step(
        self, grads: base.Updates, state: base.OptState, params: base.Params
    ) -> tuple[base.Params, base.OptState]:
        """What `step` gives, from the reference interpreter: slow, nothing donated, to compare with."""
        grads, params, aside = set_apart(grads, params, self._made.grads)
        made = self._made.with_grads(grads, params)
        hypers = self._hyperparameters.on_device(made.final.step)
        found = made.interpret_step({Role.UPDATES: grads, Role.STATE: state, Role.PARAMS: params}, hypers)
        return aside.with_params(found[Role.PARAMS], made.final.zeroed), found[Role.STATE]

    # States of another form

    def from_optax(self, state: base.OptState) -> base.OptState:
        """A state as Optax has it, as this optimizer keeps it: in the types that its passes store, and packed or not.

        Raises TreeMismatchError for a state of other parameters.
        """
        kept = self._made.convert(FROM_OPTAX, state)
        return self.pack_state(kept) if self._made.packs_state else kept

    def to_optax(self, state: base.OptState) -> base.OptState:
        """The inverse of `from_optax`, up to the rounding of what is stored in fewer bits.

        Raises TreeMismatchError for a state of other parameters.
        """
        return self._made.convert(TO_OPTAX, self.unpack_state(state) if isinstance(state, PackedState) else state)

    # Packing

    @property
    def layout(self) -> str:
        """The layout of states: ``"tree"``, ``"packed"`` or ``"tiled"``."""
        return self._made.layout

    def pack_state(self, state: base.OptState) -> PackedState:
        """A state, as Optax has it, in one array for each field and dtype. Nothing is lost."""
        check_matches(shapes_of(state), self._made.state, "state", "the state for the params compiled for", dtypes=True)
        return PackedState(pack_tree(self.state_layout, state), self.state_layout)

    def unpack_state(self, packed: PackedState) -> base.OptState:
        """The inverse of `pack_state`. Raises TreeMismatchError for a state that was packed for other parameters."""
        check_layout(packed, self.state_layout, "state")
        return self.state_layout.unpack(packed.arrays)

    def pack(self, params: base.Params) -> PackedParams:
        """Parameters, or gradients of the same dtypes, in one array for each dtype."""
        check_matches(shapes_of(params), self._made.params, "params", "the params compiled for", dtypes=True)
        layout = self._made.layouts[Role.PARAMS]
        return PackedParams(pack_tree(layout, params), layout)

    def unpack(self, packed: PackedParams) -> base.Params:
        """The inverse of `pack`; in a loss, its gradient with respect to ``packed`` is packed, too.

        Raises TreeMismatchError for parameters that were packed for another optimizer.
        """
        layout = self._made.layouts[Role.PARAMS]
        check_layout(packed, layout, "params")
        return layout.unpack(packed.arrays)

    @property
    def state_layout(self) -> Layout:
        """The arrays of a packed state, and where each leaf is in them."""
        return self._made.layouts[Role.STATE]

    # Hyperparameters

    @property
    def hyperparams(self) -> dict[str, Any]:
        """The numeric hyperparameters by their names, such as ``"1.learning_rate"``: chain index and keyword.

        They are inputs of the compiled step, or of `init`. What is not a number (a flag, None, a schedule, a dtype) is
        part of the program and not listed.
        """
        return self._hyperparameters.values

    def with_hyperparams(self, hyperparams: Mapping[str, ArrayLike]) -> CompiledOptimizer:
        """The same optimizer with other values for some hyperparameters; nothing is compiled.

        Raises ValueError for a name that is no hyperparameter or a value out of range, and TypeError for one that is no
        number.
        """
        other = self._with(self._made)
        other._hypers = self._hyperparameters.replaced(hyperparams)
        return other

    def variant(self, *, backend: str | None = None, layout: str | None = None) -> CompiledOptimizer:
        """The same optimizer, with the same values of hyperparameters, on another backend or in another layout.

        Raises ValueError for one that there is not, and NativeUnavailableError for native kernels where there are none.
        """
        made = self._made
        options: Any = {"backend": backend or self.backend, "layout": layout or made.asked_layout}
        check_backend(options["backend"])
        check_layout_name(options["layout"])
        given = made.source, made.params, made.grads, made.passes
        return self._with(Artifacts(*given, **options, extra=made.extra, target=made.target))

    def _with(self, made: Artifacts) -> CompiledOptimizer:
        """This optimizer, with other artifacts."""
        other = object.__new__(CompiledOptimizer)
        other.backend, other.pipeline, other.target = made.backend, made.passes, made.target
        other._made, other._hypers = made, self._hypers
        return other
