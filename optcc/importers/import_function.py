"""Imports a function of trees and numbers: trace, re-roll, emit, check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from xdsl.ir import Operation

from optcc.formula.values import GroupedLeaves, Scalar, Tree
from optcc.importers.check import Place, check
from optcc.importers.emit import Emission
from optcc.importers.emit_calls import Calls
from optcc.importers.flat_jaxprs import Atom, FlatJaxpr
from optcc.importers.lanes import Roller
from optcc.importers.primitives import NotImportedError
from optcc.importers.rolling import rolled

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.importers.foreign import Result

OF_NO_LEAF = "the state has arrays that belong to no leaf"
"""Why `init` is called that has only these."""


@dataclass(frozen=True, eq=False)
class _Results:
    """What is asked of a function: the places of its arrays, and those that are of no leaf, the result number `other`.

    `extents` has those of the results that are trees.
    """

    asked: list[tuple[Atom, Place]]
    left: list[Atom]
    other: int | None
    extents: dict[str, str]


def import_function(
    b: Builder,
    flat: FlatJaxpr,
    operands: Sequence[Tree | Scalar],
    results: Sequence[Result],
    leaf_set: GroupedLeaves,
    name: str,
) -> list[Tree | Scalar]:
    """The results of a function, whose trace is `flat`, as ops over a leaf set and its parts.

    What the IR has no counterpart for is called, as `name`. Numbers are hyperparameters, but in `init`: what it has put
    into the state is not changed by another value afterwards. Raises NotImportedError where that cannot be done, and
    emits nothing then.
    """
    inputs = {f"input {i}": x for i, x in enumerate(operands)}
    known = [place for key, x in inputs.items() for place in _places(key, x, leaf_set)]
    wanted = _wanted(flat, results, leaf_set)
    per_leaf = {key for key, x in inputs.items() if isinstance(x, Tree) and x.extent == b.PER_LEAF}
    per_leaf |= {key for key, extent in wanted.extents.items() if extent == b.PER_LEAF}
    roller = Roller(dict(zip(leaf_set.leaves, b.leaf_sets.shapes(leaf_set), strict=True)))
    roller.roll(flat, known, per_leaf)
    terms = rolled(roller, flat, wanted.asked, per_leaf, wanted.left)
    last, literals, callables = b.block.last_op, dict(b.known_literals), dict(b.callables)
    try:
        left = None if wanted.other is None else results[wanted.other]
        calls = Calls(b, leaf_set, flat, name, roller.cuts.why or OF_NO_LEAF, left)
        emission = Emission(b, leaf_set, inputs, terms, wanted.extents, calls, hypers=name != "init")
        outputs = emission.emit()
        asked = [*wanted.asked, *(entry for part in terms.parts for entry in part.checked)]
        check(b, flat, leaf_set, (known, emission.inputs), (asked, outputs), _ops_after(b, last), terms)
    except NotImportedError:
        _remove_after(b, last)
        b.known_literals = literals
        for callee in b.callables.keys() - callables.keys():
            del b.callables[callee]
        raise
    if wanted.other is not None and calls.left is not None:
        outputs[f"output {wanted.other}"] = calls.left
    names = [f"output {i}" for i in range(len(results))]
    return [outputs[n] if n in outputs else _of_no_leaf(b, r) for n, r in zip(names, results, strict=True)]


def _of_no_leaf(b: Builder, result: Result) -> Tree:
    """A result over no leaves, as under a mask that leaves all of them out: nothing is emitted for it."""
    assert not isinstance(result, np.dtype)
    leaf_set, _, extent = result
    assert not leaf_set.leaves
    return Tree(b, leaf_set, {}, {}, extent=extent)


def _wanted(flat: FlatJaxpr, results: Sequence[Result], leaf_set: GroupedLeaves) -> _Results:
    """Where each result of a function goes. Raises NotImportedError."""
    places: list[Place] = []
    extents: dict[str, str] = {}
    others: list[int] = []
    for i, r in enumerate(results):
        if isinstance(r, np.dtype):
            places.append((f"output {i}", None))
            continue
        places += [(f"output {i}", leaf) for leaf in r[0].leaves]
        if r[0].leaves and r[0].root != leaf_set.root:
            others.append(i)
        else:
            extents[f"output {i}"] = r[2]
    if len(others) > 1:
        raise NotImportedError("several of its results have arrays that belong to no leaf")
    foreign = {f"output {i}" for i in others}
    both = list(zip(flat.outputs, places, strict=True))
    asked = [entry for entry in both if entry[1][0] not in foreign]
    return _Results(
        asked, [atom for atom, place in both if place[0] in foreign], others[0] if others else None, extents
    )


def _places(name: str, value: Tree | Scalar, leaf_set: GroupedLeaves) -> list[Place | None]:
    """The place of each array of an operand; None for one that belongs to no leaf of the set."""
    if isinstance(value, Scalar):
        return [(name, None)]
    if value.leaf_set.root != leaf_set.root:
        return [None] * len(value.leaf_set.leaves)
    return [(name, leaf) for leaf in value.leaf_set.leaves]


def _ops_after(b: Builder, last: Operation | None) -> list[Operation]:
    """What was emitted behind an op."""
    ops: list[Operation] = []
    op = b.block.first_op if last is None else last.next_op
    while op is not None:
        ops.append(op)
        op = op.next_op
    return ops


def _remove_after(b: Builder, last: Any) -> None:
    """Remove what was emitted behind an op."""
    while b.block.last_op is not last:
        op = b.block.last_op
        assert op is not None
        op.detach()
        op.erase()
