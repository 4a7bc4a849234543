"""`update` and `apply_updates` inside one jit as one sweep: the primitive `optcc_update_and_apply`.

It gives updates, new state and new parameters, of which a training step uses two. JAX drops what nobody uses before it
lowers, and the rule for that leaves `optcc_update` in its place: with the program that returns updates, or with that of
the step, which never stores them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import jax
from jax.core import Tracer
from jax.extend.core import JaxprEqn, Primitive
from jax.interpreters import ad, batching, mlir
from jax.interpreters import partial_eval as pe

from optcc.apply import apply_updates
from optcc.base import LookaheadParams, PyTree
from optcc.dialect import Role
from optcc.program.arrays import keys_to_data, shapes_of
from optcc.program.signature import ROLES
from optcc.runtime.executables import MAKING
from optcc.runtime.on_mesh import OnMesh
from optcc.runtime.packed_trees import trees_of
from optcc.runtime.primitive import BoundFunction, is_placed, optcc_update_p

if TYPE_CHECKING:
    from optcc.runtime.artifacts import Artifacts


@dataclass(frozen=True, eq=False)
class UpdateAndApply:
    """Two functions on the same arrays of the caller: one returns updates, the other new parameters.

    `arrays` of the caller come first, then the hyperparameters of `update`, then those of `step`.
    """

    update: BoundFunction
    step: BoundFunction
    arrays: int
    update_hypers: int

    @cached_property
    def updates(self) -> int:
        """The number of arrays of updates."""
        return len(self.update.function.signature.shapes(Role.UPDATES, results=True))

    @cached_property
    def jitted(self) -> Any:
        return jax.jit(self.separately)

    def separately(self, *arrays: Any) -> list[Any]:
        """Updates and state, and the sums of updates and parameters."""
        return self._summed(arrays, lambda *xs: optcc_update_p.bind(*xs, executable=self.update))

    def interpret(self, *arrays: Any) -> list[Any]:
        """Evaluate in jax.numpy."""
        return self._summed(arrays, self.update.interpret)

    def _summed(self, arrays: Sequence[jax.Array], update: Callable[..., Any]) -> list[Any]:
        found = list(update(*arrays[: self.arrays + self.update_hypers]))
        given = self.update.function.signature
        before = sum(len(given.shapes(role)) for role in ROLES[: ROLES.index(Role.PARAMS)])
        params = list(arrays[before : before + len(given.shapes(Role.PARAMS))])
        return [*found, *apply_updates(params, found[: self.updates])]


def update_and_apply(
    both: UpdateAndApply, trees: Mapping[Role, PyTree], hypers: Sequence[jax.Array]
) -> tuple[dict[Role, Any], Any]:
    """The pytrees of an update, and new parameters."""
    flat = [x for role in ROLES for x in jax.tree.leaves(trees.get(role))]
    arrays = optcc_update_and_apply_p.bind(*keys_to_data(flat), *hypers, both=both)
    count = len(both.update.out_avals)
    signature, of_step = both.update.function.signature, both.step.function.signature
    found = trees_of(both.update.function, signature.data_to_keys(arrays[:count]))
    results = [*arrays[count:], *arrays[both.updates : count]]
    return found, trees_of(both.step.function, of_step.data_to_keys(results))[Role.PARAMS]


def both_of(made: Artifacts, bound: BoundFunction | OnMesh, trees: Mapping[Role, PyTree]) -> UpdateAndApply | None:
    """An update that gives new parameters, too, within a trace: who adds the updates takes these.

    None where nobody could: outside of a trace, without parameters, on a mesh, and with several in one place.
    """
    params, arrays = trees[Role.PARAMS], [x for role in ROLES for x in jax.tree.leaves(trees.get(role))]
    in_trace = any(isinstance(x, Tracer) for x in arrays)
    if params is None or not in_trace or isinstance(bound, OnMesh) or isinstance(params, LookaheadParams):
        return None
    made = made.with_extra(shapes_of(trees.get(Role.EXTRA)))
    with MAKING:
        if bound not in made.both:
            step = BoundFunction(made.step_function(False, False, False), made.backend)
            hypers = len(bound.function.signature.hyper_dtypes)
            made.both[bound] = UpdateAndApply(bound, step, len(arrays), hypers)
    return made.both[bound]


optcc_update_and_apply_p = Primitive("optcc_update_and_apply")
optcc_update_and_apply_p.multiple_results = True


@optcc_update_and_apply_p.def_impl
def _run(*arrays: Any, both: UpdateAndApply) -> Any:
    return both.jitted(*arrays)


@optcc_update_and_apply_p.def_abstract_eval
def _shapes(*avals: Any, both: UpdateAndApply) -> list[Any]:
    if any(is_placed(aval) for aval in avals):
        return list(jax.make_jaxpr(both.interpret)(*avals).out_avals)
    make: Any = type(avals[0])
    params = both.step.out_avals[: len(both.step.out_avals) - len(both.update.out_avals) + both.updates]
    return [make(x.shape, x.dtype) for x in (*both.update.out_avals, *params)]


def _jvp(primals: Sequence[jax.Array], tangents: Sequence[jax.Array], *, both: UpdateAndApply) -> Any:
    return jax.jvp(both.interpret, tuple(primals), tuple(ad.instantiate_zeros(t) for t in tangents))


def _batch(arrays: Sequence[jax.Array], dims: Sequence[int | None], *, both: UpdateAndApply) -> Any:
    axes = tuple(d if isinstance(d, int) else None for d in dims)
    out = jax.vmap(both.interpret, in_axes=axes)(*arrays)
    return out, [0] * len(out)


def _drop_unused(used: Sequence[bool], *given: Any) -> tuple[list[bool], JaxprEqn | None]:
    """The equation without what nobody uses: one of the two programs, if one is enough.

    The equation is the last argument; before it jax 0.12 says which inputs are live, for equations with effects.
    """
    eqn: JaxprEqn = given[-1]
    both: UpdateAndApply = eqn.params["both"]
    count, inputs = len(both.update.out_avals), len(eqn.invars)
    arrays, own = range(both.arrays), range(both.arrays, both.arrays + both.update_hypers)
    if not any(used):
        return [False] * inputs, None
    if not any(used[count:]):
        outvars, executable, taken = eqn.outvars[:count], both.update, [*arrays, *own]
    elif not any(used[: both.updates]):
        outvars, executable = [*eqn.outvars[count:], *eqn.outvars[both.updates : count]], both.step
        taken = [*arrays, *range(own.stop, inputs)]
    else:
        return [True] * inputs, eqn
    invars = [eqn.invars[i] for i in taken]
    new = eqn.replace(primitive=optcc_update_p, invars=invars, outvars=outvars, params={"executable": executable})
    kept = set(taken)
    return [i in kept for i in range(inputs)], new


ad.primitive_jvps[optcc_update_and_apply_p] = _jvp
batching.primitive_batchers[optcc_update_and_apply_p] = _batch
pe.dce_rules[optcc_update_and_apply_p] = _drop_unused
mlir.register_lowering(
    optcc_update_and_apply_p,
    mlir.lower_fun(lambda *arrays, both: both.separately(*arrays), multiple_results=True),
)
