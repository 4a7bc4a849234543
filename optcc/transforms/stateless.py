"""Transformations that the user gives as a plain JAX function of the updates: opaque calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax

from optcc import base
from optcc.errors import TreeMismatchError, message
from optcc.formula import definition

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Tree


def stateless(f: Callable[[base.Updates, base.Params | None], base.Updates]) -> base.GradientTransformationExtraArgs:
    """Transform updates by a function of the user's: ``u = f(g, params)``, on whole pytrees.

    ``f`` is traced JAX code and gets None for the parameters where ``update`` gets none. It returns updates of the
    structure and shapes of ``g``; their dtypes are those that ``f`` gives them. In the IR it is an opaque call, which
    no sweep is fused across. State: ``EmptyState()``.

    Raises TreeMismatchError where the result has another structure or other shapes.
    """
    return _opaque("stateless", f)


def stateless_with_tree_map(
    f: Callable[[jax.Array, jax.Array | None], jax.typing.ArrayLike],
) -> base.GradientTransformationExtraArgs:
    """As `stateless`, for a function of one leaf: ``u = f(g, p)``, with None for ``p`` where there are no parameters.

    The result has the shape of the leaf. State: ``EmptyState()``.
    """

    def on_tree(updates: base.Updates, params: base.Params | None) -> base.Updates:
        return jax.tree.map(lambda g: f(g, None), updates) if params is None else jax.tree.map(f, updates, params)

    return _opaque("stateless_with_tree_map", on_tree)


def _opaque(
    name: str, f: Callable[[base.Updates, base.Params | None], base.Updates]
) -> base.GradientTransformationExtraArgs:
    def update(b: Builder, updates: Tree, params: Tree | None) -> Tree:
        from optcc.importers.foreign import as_shapes

        operands = [updates] if params is None else [updates, params]

        def call(*arrays: Sequence[Any]) -> list[list[Any]]:
            trees = [jax.tree.unflatten(t.leaf_set.structure, a) for t, a in zip(operands, arrays, strict=True)]
            return [jax.tree.leaves(f(trees[0], None if params is None else trees[1]))]

        shapes = as_shapes(b, updates)
        new = jax.eval_shape(f, shapes, None if params is None else as_shapes(b, params))
        _check_shapes(b, new, shapes)
        return b.call(name, call, operands, [(updates.leaf_set, _dtypes(updates, new))])[0]

    return definition.stateless(name, update)


def _check_shapes(b: Builder, got: base.PyTree, expected: base.PyTree) -> None:
    """Check that the function kept structure and shapes. Raises TreeMismatchError."""
    fix = "return updates with the structure and the shapes of those given"
    if jax.tree.structure(got) != jax.tree.structure(expected):
        what = f"the function returns {jax.tree.structure(got)} for updates {jax.tree.structure(expected)}"
        raise TreeMismatchError(message(what, b.where_in_chain, fix))
    for (path, x), y in zip(jax.tree_util.tree_leaves_with_path(got), jax.tree.leaves(expected), strict=True):
        if x.shape != y.shape:
            what = f"the function returns shape {list(x.shape)} for an update of shape {list(y.shape)}"
            where = f"{b.where_in_chain}, leaf updates{jax.tree_util.keystr(path)}"
            raise TreeMismatchError(message(what, where, fix))


def _dtypes(updates: Tree, new: base.PyTree) -> dict[int, Any]:
    """The dtype of each group. Raises MixedGroupError, to have a group parted, where it would have two."""
    from optcc.formula.folds import MixedGroupError

    of_leaf = dict(zip(updates.leaf_set.leaves, (x.dtype for x in jax.tree.leaves(new)), strict=True))
    dtypes: dict[int, Any] = {}
    for k, members in updates.leaf_set.members.items():
        dtypes[k] = of_leaf[members[0]]
        if any(of_leaf[m] != dtypes[k] for m in members):
            raise MixedGroupError(frozenset(m for m, dtype in of_leaf.items() if dtype == dtypes[k]))
    return dtypes
