"""Masking: apply a transformation to some leaves only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax

from optcc import base
from optcc.base import PyTree
from optcc.errors import TreeMismatchError, message
from optcc.formula.definition import Definition, as_pair, definition_of
from optcc.functions_given import is_function
from optcc.pass_through import as_given

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Tree


class MaskedState(NamedTuple):
    """The inner state, with `MaskedNode()` for the leaves that are masked out."""

    inner_state: Any


def masked(
    inner: base.GradientTransformation,
    mask: base.PyTree | Callable[[base.Params], base.PyTree],
    *,
    mask_compatible_extra_args: bool = False,
) -> base.GradientTransformationExtraArgs:
    """Apply ``inner`` to the leaves for which the mask is True; the others pass through.

    ``mask`` is a pytree of bools with the structure of the parameters, or a prefix of it, or a function from the
    parameters (in ``update``, from the updates) to one; the function sees shapes and dtypes, not values.
    State: ``MaskedState(inner_state)``, without arrays for the leaves masked out. ``mask_compatible_extra_args`` masks
    the extra arguments that have the structure of the updates, too.

    Raises TreeMismatchError where the mask is no prefix of the parameters or has a leaf that is no bool.
    """
    child = definition_of(inner)

    def init(b: Builder, params: Tree) -> MaskedState:
        selected, _ = _split(b, params, mask)
        return MaskedState(inner_state=b.initialize(None, child, selected))

    def update(b: Builder, updates: Tree, state: MaskedState, params: Tree | None):
        on, off = _split(b, updates, mask)
        params_on = None if params is None else _split(b, params, mask, of=updates)[0]

        def select(extra: Tree) -> Tree:
            same = extra.leaf_set.structure == updates.leaf_set.structure
            return _split(b, extra, mask, of=updates)[0] if same else extra

        with b.masked_extra_args(mask_compatible_extra_args, select):
            new, inner_state = b.apply(None, child, on, state.inner_state, params_on)
        return b.join(new, off, updates.leaf_set), MaskedState(inner_state=inner_state)

    return as_pair(Definition("masked", init, update, children=(child,), numbers_children=False, passes_through=True))


def _split(b: Builder, tree: Tree, mask: PyTree, of: Tree | None = None) -> tuple[Tree, Tree]:
    """The leaves of `tree` for which the mask, made from the shapes of `of`, is True, and the others."""
    from optcc.importers.foreign import as_shapes

    structure = tree.leaf_set.structure
    flags = mask(as_given(as_shapes(b, tree if of is None else of))) if is_function(mask) else mask
    if not structure.num_leaves:
        flags = True  # the placeholder of `tree_map_params`, say, which the mask need not fit
    positions = jax.tree.unflatten(structure, range(structure.num_leaves))
    try:
        on = jax.tree.map(lambda m, p: p if m else base.MaskedNode(), flags, positions)
        off = jax.tree.map(lambda m, p: base.MaskedNode() if m else p, flags, positions)
    except (ValueError, TypeError) as error:
        raise TreeMismatchError(
            message(
                f"the mask is no pytree of bools that is a prefix of the parameters: "
                f"{_other_keys(flags, positions) or error}",
                b.where_in_chain,
                "make it with jax.tree.map over the parameters, or pass a function that does",
            )
        ) from None
    chosen = set(jax.tree.leaves(on))
    selected = [i in chosen for i in range(structure.num_leaves)]
    return b.split(tree, selected, (jax.tree.structure(on), jax.tree.structure(off)))


def _other_keys(mask: PyTree, tree: PyTree) -> str:
    """What the keys are, where a mask and a tree are dicts with different ones; otherwise nothing."""
    if isinstance(mask, dict) and isinstance(tree, dict):
        if mask.keys() != tree.keys():
            return f"Dict key mismatch: the mask has {list(mask)}, the parameters have {list(tree)}"
        return next(filter(None, (_other_keys(mask[key], tree[key]) for key in mask)), "")
    return ""
