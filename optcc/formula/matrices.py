"""Emits ops on batches of matrices: leaves of one shape are stacked, whatever pytree they are in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax
from xdsl.ir import SSAValue

from optcc.dialect import Leaf, MatmulOp, Place, Precision, StackOp, UnstackOp
from optcc.formula.promotion import tree_type
from optcc.formula.values import GroupedLeaves, Scalar, Tree

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.matrix_views import MatrixView

_PRECISIONS = {
    None: Precision.DEFAULT,
    "default": Precision.DEFAULT,
    "fastest": Precision.DEFAULT,
    "bfloat16": Precision.DEFAULT,
    "high": Precision.HIGH,
    "bfloat16_3x": Precision.HIGH,
    "tensorfloat32": Precision.HIGH,
    "highest": Precision.HIGHEST,
    "float32": Precision.HIGHEST,
    "bfloat16_6x": Precision.HIGHEST,
}
"""What `jax.default_matmul_precision` is set to, in the words of the dialect."""


@dataclass(frozen=True)
class Stacking:
    """Where the leaves of a tree are in batches `[number, rows, columns]`, none of more rows than columns.

    `places` are those of the leaves of each group, in its order.
    """

    leaves: GroupedLeaves
    batches: GroupedLeaves
    places: Mapping[int, tuple[Place, ...]]

    @classmethod
    def of(cls, b: Builder, tree: Tree, views: Sequence[MatrixView]) -> Stacking:
        """Matrices of one shape and dtype are one batch. `views` are in tree order."""
        order = {index: i for i, index in enumerate(tree.leaf_set.leaves)}
        places: dict[int, tuple[Place, ...]] = {}
        counts: dict[int, list[tuple[int, int, int]]] = {}
        for k, members in tree.leaf_set.members.items():
            batch_of: dict[tuple[int, int], int] = {}
            sizes: list[int] = []
            found: list[Place] = []
            for index in members:
                view = views[order[index]]
                axes, rows, columns = view.wide
                batch = batch_of.setdefault((rows, columns), len(batch_of))
                sizes += [0] * (batch + 1 - len(sizes))
                sizes[batch] += view.batch
                found.append(Place(axes, batch))
            places[k] = tuple(found)
            counts[k] = [(n, *shape) for n, shape in zip(sizes, batch_of, strict=True)]
        return cls(tree.leaf_set, _batches(b, "matrices", counts), places)

    def stack(self, b: Builder, tree: Tree) -> Tree:
        """The batches of a tree over `leaves`."""
        parts: dict[int, SSAValue] = {
            k: b.add(StackOp(self.places[k], v, tree_type(v).with_leaves(self.batches.groups[k]))).results[0]
            for k, v in tree.parts.items()
        }
        return Tree(b, self.batches, parts, dict(tree.dtypes))

    def unstack(self, b: Builder, batches: Tree) -> Tree:
        """The tree of which `batches` are the batches."""
        parts: dict[int, SSAValue] = {
            k: b.add(UnstackOp(self.places[k], v, tree_type(v).with_leaves(self.leaves.groups[k]))).results[0]
            for k, v in batches.parts.items()
        }
        return Tree(b, self.leaves, parts, dict(batches.dtypes))


def squares(b: Builder, batches: GroupedLeaves) -> GroupedLeaves:
    """The batches of the products of each matrix with its own transpose."""

    def square(shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape[:-1], shape[-2])

    counts = {k: [square(leaf.shape) for leaf in b.leaf_sets.leaves(s)] for k, s in batches.groups.items()}
    return _batches(b, "squares", counts)


def _batches(b: Builder, name: str, shapes: Mapping[int, Sequence[tuple[int, ...]]]) -> GroupedLeaves:
    """A leaf set of batches of these shapes, by group."""
    root = b.symbol_name(name)
    groups: dict[int, str] = {}
    members: dict[int, tuple[int, ...]] = {}
    total = 0
    for k, of_group in shapes.items():
        members[k] = tuple(range(total, total + len(of_group)))
        total += len(of_group)
        leaves = tuple(Leaf(f"{root}/{i}", shape) for i, shape in zip(members[k], of_group, strict=True))
        groups[k] = b.leaf_sets.define(root if len(shapes) == 1 else f"{root}_{k}", leaves)
    return GroupedLeaves(root, jax.tree.structure([0] * total), groups, members)


def matmul(
    b: Builder,
    lhs: Tree,
    rhs: Tree,
    into: GroupedLeaves,
    *,
    transposed: tuple[bool, bool] = (False, False),
    plus: tuple[Scalar, Scalar, Tree] | None = None,
) -> Tree:
    """The products of two trees of batches, over the leaf set `into`; `plus` as in `optim.matmul`.

    The precision is that of `jax.default_matmul_precision` at this moment.
    """
    asked: str | None = jax.config.jax_default_matmul_precision  # pyright: ignore[reportAttributeAccessIssue]
    precision = _PRECISIONS.get(asked, Precision.HIGHEST)

    def product(k: int) -> MatmulOp:
        type_ = tree_type(lhs.parts[k]).with_leaves(into.groups[k])
        rest = None
        if plus is not None:
            alpha, beta = (b.scalar_as(x, type_.element) for x in plus[:2])
            rest = (alpha, beta, plus[2].parts[k])
        operands = (lhs.parts[k], rhs.parts[k])
        return MatmulOp(*operands, type_, transposed=transposed, plus=rest, precision=precision)

    parts: dict[int, SSAValue] = {k: b.add(product(k)).results[0] for k in lhs.parts}
    return Tree(b, into, parts, dict(lhs.dtypes))
