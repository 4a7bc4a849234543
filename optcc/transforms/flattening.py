"""The same values in another layout: flatten, and split_real_and_imaginary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from optcc import base
from optcc.base import OptState
from optcc.formula.definition import Definition, as_pair, definition_of

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Tree


def flatten(inner: base.GradientTransformation) -> base.GradientTransformationExtraArgs:
    """Give a transformation all leaves as one vector, in tree order; per-leaf quantities become global.

    The vector has the dtype that the leaves promote to. It is made by concatenation at each step; fewer and larger
    arrays in the state are what is gained. State: that of ``inner`` for one vector.

    Raises TypeError, when parameters are there, for a tree with both real and complex leaves.
    """
    child = definition_of(inner)

    def init(b: Builder, params: Tree) -> Any:
        from optcc.formula import flatten_complex

        return b.initialize(None, child, flatten_complex.flatten(b, params))

    def update(b: Builder, g: Tree, state: OptState, params: Tree | None):
        from optcc.formula import flatten_complex

        flat_params = None if params is None else flatten_complex.flatten(b, params)
        u, new_state = b.apply(None, child, flatten_complex.flatten(b, g), state, flat_params)
        return flatten_complex.unflatten(b, u, g.leaf_set), new_state

    return as_pair(Definition("flatten", init, update, children=(child,), numbers_children=False))


class SplitRealAndImaginaryState(NamedTuple):
    """The state of the inner transformation, over pairs of real arrays."""

    inner_state: base.OptState


def split_real_and_imaginary(inner: base.GradientTransformation) -> base.GradientTransformationExtraArgs:
    """Give a transformation, for each complex leaf, its real and its imaginary part as two real leaves.

    Real leaves stay as they are. JAX's gradient of a real function of complex parameters is the conjugate of the
    direction of ascent: conjugate it first. State: ``SplitRealAndImaginaryState(inner_state)``, with a
    ``SplitRealAndImaginaryArrays`` where a leaf is complex.
    """
    child = definition_of(inner)

    def init(b: Builder, params: Tree) -> SplitRealAndImaginaryState:
        from optcc.formula import flatten_complex

        return SplitRealAndImaginaryState(b.initialize(None, child, flatten_complex.to_real_pairs(b, params)))

    def update(b: Builder, g: Tree, state: SplitRealAndImaginaryState, params: Tree | None):
        from optcc.formula import flatten_complex

        pairs = None if params is None else flatten_complex.to_real_pairs(b, params)
        u, inner_state = b.apply(None, child, flatten_complex.to_real_pairs(b, g), state.inner_state, pairs)
        return flatten_complex.from_real_pairs(b, u, g), SplitRealAndImaginaryState(inner_state)

    return as_pair(Definition("split_real_and_imaginary", init, update, children=(child,), numbers_children=False))
