"""Checks an import: the ops that were emitted, expanded leaf by leaf, compute what the original jaxpr computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from xdsl.ir import Operation, SSAValue

from optcc.dialect import Leaf, map_result
from optcc.formula.values import GroupedLeaves, Scalar, Tree
from optcc.importers.axes import Shape, is_whole
from optcc.importers.canonical import Expressions
from optcc.importers.check_jaxpr import JaxprElements
from optcc.importers.check_ops import OpElements, UnknownOpError, by_leaf
from optcc.importers.flat_jaxprs import Atom, FlatJaxpr
from optcc.importers.primitives import NotImportedError
from optcc.importers.terms import Rolled

if TYPE_CHECKING:
    from optcc.formula.builder import Builder

Place = tuple[str, int | None]
"""The name of an input or an output, and the leaf, if it is a leaf's."""


def check(
    b: Builder,
    flat: FlatJaxpr,
    leaf_set: GroupedLeaves,
    inputs: tuple[Sequence[Place | None], Mapping[str, Tree | Scalar]],
    outputs: tuple[Sequence[tuple[Atom, Place]], Mapping[str, Tree | Scalar]],
    ops: Sequence[Operation],
    rolled: Rolled,
) -> None:
    """Compare every output of the ops with that of the jaxpr. Raises NotImportedError where they differ.

    `inputs` and `outputs` have the place of each array of the jaxpr, and the values of the builder by name. What calls
    take is among the outputs. What they give is an input on both sides: they run the equations of the jaxpr.
    """
    shapes = dict(zip(leaf_set.leaves, b.leaf_sets.shapes(leaf_set), strict=True))
    e = Expressions()
    given = {array.number: (array, (name, leaf)) for part in rolled.parts for name, tree in part.given.items()
             for leaf, (array, _) in tree.items()}  # fmt: skip
    given |= {array.number: (array, (name, None)) for part in rolled.parts
              for name, (array, _) in part.numbers_given.items()}  # fmt: skip
    wanted = JaxprElements(e, shapes).outputs(flat, inputs[0], given, [atom for atom, _ in outputs[0]])
    found = _expanded(b, e, leaf_set, inputs[1], ops)
    got = {name: by_leaf(x.parts, x.leaf_set.members, found) if isinstance(x, Tree) else found[x.value]
           for name, x in outputs[1].items()}  # fmt: skip
    for (atom, place), want in zip(outputs[0], wanted, strict=True):
        name, leaf = place
        value = got[name]
        one = value if isinstance(value, int) else value.get(leaf if leaf is not None else -1)
        if want is None or want[0] != one:
            raise NotImportedError(f"the import of {_called(place)} does not compute what the original does")
        if leaf is not None and not is_whole(want[1], atom.shape, _shape(outputs[1][name], shapes, leaf)):
            raise NotImportedError(f"the import of {_called(place)} is not in the place of its leaf")
        if np.dtype(_dtype(outputs[1][name], leaf)) != np.dtype(atom.dtype):
            raise NotImportedError(f"the import of {_called(place)} has another dtype than the original")
    orders = {fold.parameter for fold in rolled.folds if len(fold.operands) > 1}
    if e.folds_in([want[0] for want in wanted if want is not None]) != orders:
        raise NotImportedError("a fold over leaves was recorded in another order than the original's")


def _expanded(
    b: Builder, e: Expressions, leaf_set: GroupedLeaves, inputs: Mapping[str, Tree | Scalar], ops: Sequence[Operation]
) -> OpElements:
    index_of = dict(zip(b.leaf_sets.paths(leaf_set), leaf_set.leaves, strict=True))

    @cache
    def leaves_of(symbol: str) -> list[tuple[int, Leaf]]:
        leaves = b.leaf_sets.leaves(symbol)
        if any(leaf.path not in index_of for leaf in leaves):
            raise NotImportedError(f"an op of the import is over other leaves, @{symbol}")
        return [(index_of[leaf.path], leaf) for leaf in leaves]

    found = OpElements(e, leaves_of, b.leaf_sets.kept_axes)
    for name, value in inputs.items():
        if isinstance(value, Tree):
            own = dict(zip(value.leaf_set.leaves, (x.shape for x in b.shapes(value)), strict=True))
            long = {i: [axis for axis, size in enumerate(shape) if size != 1] for i, shape in own.items()}
            for k, part in value.parts.items():
                stored = _stored(part, ops)
                found.bind(stored, {i: e.element(name, i, long[i]) for i in value.leaf_set.members[k]})
        else:
            found.bind(value.value, e.element(name, None))
    for (_, number), scalar in b.known_literals.items():
        found.bind(scalar.value, e.constant(number, np.dtype(np.float64)))
    try:
        found.run(ops)
    except UnknownOpError as error:
        raise NotImportedError(f"the check knows no {error}") from None
    return found


def _stored(part: SSAValue, ops: Sequence[Operation]) -> SSAValue:
    """What a part of an input was before it was widened, if that is done by one of the ops."""
    made = map_result(part)
    return made.map.inputs[0] if made is not None and made.map in ops else part


def _shape(value: Tree | Scalar, shapes: Mapping[int, Shape], leaf: int) -> Shape:
    assert isinstance(value, Tree)
    return shapes[leaf] if value.extent == value.builder.ELEMENTS else ()


def _dtype(value: Tree | Scalar, leaf: int | None) -> Any:
    if isinstance(value, Scalar):
        return value.array_dtype
    return next(value.dtypes[k] for k, members in value.leaf_set.members.items() if leaf in members)


def _called(place: Place) -> str:
    name, leaf = place
    return name if leaf is None else f"{name}, leaf {leaf},"
