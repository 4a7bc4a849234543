"""Imports a function of trees and numbers: trace, re-roll, emit, check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from optcc.formula.values import GroupedLeaves, Scalar, Tree
from optcc.importers.check import Place, check
from optcc.importers.emit import Emission
from optcc.importers.flat_jaxprs import FlatJaxpr
from optcc.importers.lanes import Roller
from optcc.importers.primitives import NotImportedError
from optcc.importers.terms import Rolled, Term

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.importers.foreign import Result


def import_function(
    b: Builder,
    flat: FlatJaxpr,
    operands: Sequence[Tree | Scalar],
    results: Sequence[Result],
    leaf_set: GroupedLeaves,
) -> list[Tree | Scalar]:
    """The results of a function, whose trace is `flat`, as ops over a leaf set and its parts.

    Raises NotImportedError where the IR has no counterpart; nothing is emitted then.
    """
    inputs = {f"input {i}": x for i, x in enumerate(operands)}
    known = [place for name, x in inputs.items() for place in _places(name, x, leaf_set)]
    places: list[Place] = []
    for i, r in enumerate(results):
        places += [(f"output {i}", None)] if isinstance(r, np.dtype) else [(f"output {i}", j) for j in r[0].leaves]
    roller = Roller(dict(zip(leaf_set.leaves, b.leaf_sets.shapes(leaf_set), strict=True)))
    extents = {f"output {i}": r[2] for i, r in enumerate(results) if not isinstance(r, np.dtype)}
    if any(not isinstance(r, np.dtype) and r[0].root != leaf_set.root for r in results):
        raise NotImportedError("the state has arrays that belong to no leaf")
    per_leaf = {name for name, x in inputs.items() if isinstance(x, Tree) and x.extent == b.PER_LEAF}
    rolled = _rolled(roller, flat, known, places, {name for name, x in extents.items() if x == b.PER_LEAF} | per_leaf)
    last = b.block.last_op
    try:
        trees, scalars = Emission(b, leaf_set, inputs, rolled, extents).emit()
        outputs: dict[str, Tree | Scalar] = {**trees, **scalars}
        ops = []
        op = b.block.first_op if last is None else last.next_op
        while op is not None:
            ops.append(op)
            op = op.next_op
        check(b, flat, leaf_set, (known, inputs), (places, outputs), ops, rolled)
    except NotImportedError:
        _remove_after(b, last)
        raise
    names = [f"output {i}" for i in range(len(results))]
    return [outputs[n] if n in outputs else _of_no_leaf(b, r) for n, r in zip(names, results, strict=True)]


def _of_no_leaf(b: Builder, result: Result) -> Tree:
    """A result over no leaves, as under a mask that leaves all of them out: nothing is emitted for it."""
    assert not isinstance(result, np.dtype)
    leaf_set, _, extent = result
    assert not leaf_set.leaves
    return Tree(b, leaf_set, {}, {}, extent=extent)


def _places(name: str, value: Tree | Scalar, leaf_set: GroupedLeaves) -> list[Place | None]:
    """The place of each array of an operand; None for one that belongs to no leaf of the set."""
    if isinstance(value, Scalar):
        return [(name, None)]
    if value.leaf_set.root != leaf_set.root:
        return [None] * len(value.leaf_set.leaves)
    return [(name, leaf) for leaf in value.leaf_set.leaves]


def _rolled(
    roller: Roller, flat: FlatJaxpr, inputs: Sequence[Place | None], places: Sequence[Place], per_leaf: set[str]
) -> Rolled:
    values = roller.roll(flat, inputs, per_leaf)
    trees: dict[str, dict[int, Term]] = {}
    scalars: dict[str, Term] = {}
    for value, atom, (name, leaf) in zip(values, flat.outputs, places, strict=True):
        if leaf is None:
            scalars[name] = roller.number(value)
        else:
            trees.setdefault(name, {})[leaf] = roller.of_leaf(value, leaf, atom.shape, per_leaf=name in per_leaf)
    used: set[int] = set()
    work = [*scalars.values(), *(t for terms in trees.values() for t in terms.values())]
    while work:
        term = work.pop()
        if term.number not in used:
            used.add(term.number)
            work += term.operands
    terms = [t for t in roller.terms.made if t.number in used]
    return Rolled(terms, trees, scalars, [t for t in terms if t.op == "fold"])


def _remove_after(b: Builder, last: Any) -> None:
    """Remove what was emitted behind an op."""
    while b.block.last_op is not last:
        op = b.block.last_op
        assert op is not None
        op.detach()
        op.erase()
