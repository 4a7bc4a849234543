"""Init/update pairs that optcc did not define, as opaque calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from optcc import base
from optcc.dtypes import name_of
from optcc.errors import message
from optcc.formula.definition import Definition
from optcc.formula.values import GroupedLeaves, Scalar, Tree

if TYPE_CHECKING:
    from optcc.formula.builder import Builder


def foreign_definition(
    tx: Any, remake: Callable[..., Any] | None = None, arguments: Sequence[Scalar] = ()
) -> Definition:
    """A definition that calls the pair's own functions.

    The state is one tree over a leaf set of its own, so that a foreign pair adds a fixed number of ops whatever the
    number of its arrays. If it depends on scalars of the program, `remake` makes it from their arrays, in every call.
    Raises TypeError if `tx` has no callable `init` and `update`.
    """
    if not callable(getattr(tx, "init", None)) or not callable(getattr(tx, "update", None)):
        raise TypeError(
            message(
                f"a gradient transformation is an init/update pair, got {type(tx).__name__}: {tx!r}",
                fix="pass for instance optcc.adam(1e-3); a schedule belongs in scale_by_schedule",
            )
        )
    # Optax's own extra-args class cannot be named here, so any class of that name counts.
    extra = any(cls.__name__ == "GradientTransformationExtraArgs" for cls in type(tx).__mro__)
    scalars = list(arguments)
    scalar_shapes = [jax.ShapeDtypeStruct((), s.array_dtype) for s in scalars]

    def pair(values: Sequence[Any]) -> Any:
        return tx if remake is None else remake(*values)

    def init(b: Builder, params: Tree) -> Tree:
        shapes = jax.eval_shape(lambda p, *values: pair(values).init(p), as_shapes(b, params), *scalar_shapes)
        state_set, dtypes = opaque_leaf_set(b, "state", shapes)

        def call(arrays: Sequence[Any], *values: Any) -> list[list[Any]]:
            return [jax.tree.leaves(pair(values).init(jax.tree.unflatten(params.leaf_set.structure, arrays)))]

        return b.call("init", call, [params, *scalars], [(state_set, dtypes)])[0]

    def update(b: Builder, updates: Tree, state: Tree, params: Tree | None):
        extras = (b.extra_args or {}) if extra else {}
        operands = [updates, state, *([] if params is None else [params]), *extras.values()]

        def call(*arrays: Any) -> list[Any]:
            values = arrays[len(operands) :]
            trees = [jax.tree.unflatten(t.leaf_set.structure, a) for t, a in zip(operands, arrays, strict=False)]
            new_updates, new_state = pair(values).update(
                trees[0],
                trees[1],
                None if params is None else trees[2],
                **dict(zip(extras, trees[len(trees) - len(extras) :], strict=True)),
            )
            # A state whose dtypes drift, as a bfloat16 one may that meets float32 updates, could not be kept in place.
            kept = [new.astype(old.dtype) for new, old in zip(jax.tree.leaves(new_state), arrays[1], strict=True)]
            return [jax.tree.leaves(new_updates), kept]

        shapes = jax.eval_shape(
            lambda trees, values: call(*map(jax.tree.leaves, trees), *values),
            [as_shapes(b, t) for t in operands],
            scalar_shapes,
        )
        dtypes = {k: shapes[0][_position(updates, k)].dtype for k in updates.parts}
        new_updates, new_state = b.call(
            "update", call, [*operands, *scalars], [(updates.leaf_set, dtypes), (state.leaf_set, state.dtypes)]
        )
        return new_updates, new_state

    return Definition(f"foreign({type(tx).__name__})", init, update, uses_extra_args=extra)


def as_shapes(b: Builder, tree: Tree) -> base.PyTree:
    """The pytree of shapes and dtypes of a tree."""
    return jax.tree.unflatten(tree.leaf_set.structure, b.shapes(tree))


def opaque_leaf_set(b: Builder, name: str, shapes: base.PyTree) -> tuple[GroupedLeaves, dict[int, np.dtype]]:
    """A leaf set of its own for a pytree of arrays, grouped by dtype, and the dtype of each group."""
    from optcc.program.arrays import leaf_table

    structure = jax.tree.structure(shapes)
    table = leaf_table(shapes)
    dtypes = [np.dtype(s.dtype) for s in jax.tree.leaves(shapes)]
    leaf_set = b.leaf_sets.root(b.symbol_name(name), structure, table, [(name_of(d),) for d in dtypes])
    return leaf_set, {k: dtypes[members[0]] for k, members in leaf_set.members.items()}


def _position(tree: Tree, group: int) -> int:
    """Where the first leaf of a group stands among the leaves of a tree."""
    return tree.leaf_set.leaves.index(tree.leaf_set.members[group][0])
