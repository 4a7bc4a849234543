"""What per-leaf equations are re-rolled into: terms that do not name their leaf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from optcc.importers.axes import Axes, Shape
from optcc.importers.flat_jaxprs import Equation

if TYPE_CHECKING:
    from optcc.importers.opaque_parts import Part

ALL = "elements"
"""A term of this extent has every element of its leaf."""

Kept = None | str | tuple[int, ...]
"""How far a term extends: None for one number of the step, ALL, or the axes that are kept, none for one of the leaf."""


@dataclass(frozen=True, eq=False, slots=True)
class Term:
    """A value without its leaf. There is one object for equal terms, and operands have lower numbers.

    `op` is a primitive, or ``input``, ``literal``, ``reduce``, ``fold``; a fold has a term for each leaf in `operands`
    and, in the order of folding, these leaves in `parameter`, behind its combiner.
    """

    number: int
    op: str
    parameter: Any
    operands: tuple[Term, ...]
    dtype: np.dtype
    kept: Kept


@dataclass(frozen=True, eq=False, slots=True)
class Value:
    """A term in the lane of a leaf, or of the step, and the axes of the leaf that the array's dimensions are."""

    term: Term
    leaf: int | None
    axes: Axes


@dataclass(frozen=True, eq=False, slots=True)
class Chain:
    """An unfinished fold over leaves: what was folded so far, and then."""

    op: str
    before: Chain | Value
    last: Chain | Value

    def items(self) -> list[Value]:
        """What is folded, in order."""
        found: list[Value] = []
        work: list[Chain | Value] = [self]
        while work:
            item = work.pop()
            if isinstance(item, Chain):
                work += [item.last, item.before]
            else:
                found.append(item)
        return found


@dataclass(frozen=True, eq=False, slots=True)
class Stack:
    """An array of one number for each leaf, or of the step."""

    items: tuple[Value, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Unknown:
    """A value that was not imported."""

    why: str


Any_ = Value | Chain | Stack | Unknown


@dataclass(frozen=True, eq=False)
class Rolled:
    """The outputs of a function as terms: a term for each leaf of each tree, and one for each number."""

    terms: list[Term]
    trees: dict[str, dict[int, Term]]
    scalars: dict[str, Term]
    folds: list[Term]
    first_use: Mapping[int, Equation]
    """The first equation that has each literal, by the number of its term."""
    parts: Sequence[Part] = ()
    """The calls, in order."""
    stages: Mapping[int, int] = field(default_factory=dict)
    """The stage of the last call that a term needs, by its number, if it needs any."""


class Terms:
    """Makes terms, one for equal ones.

    Behind a condition, what depends on the same condition is decided: `select(p, a, f(select(p, b, c)))` becomes
    `select(p, a, f(b))`. So a norm that is guarded against a division by zero is not taken twice.
    """

    def __init__(self) -> None:
        self.made: list[Term] = []
        self._known: dict[Any, Term] = {}
        self._conditions: list[frozenset[int]] = []
        """For each term the conditions of the selects below it."""

    def __call__(self, op: str, parameter: object, operands: Sequence[Term], dtype: np.dtype, kept: Kept) -> Term:
        if op == "select_n" and len(operands) == 3:
            condition = operands[0]
            sides = (self._given(t, condition, i) for i, t in enumerate(operands[1:]))
            operands = [condition, *sides]
        key = (op, parameter, *[t.number for t in operands], dtype, kept)
        term = self._known.get(key)
        if term is None:
            term = Term(len(self.made), op, parameter, tuple(operands), dtype, kept)
            self._known[key] = term
            self.made.append(term)
            below = [c for t in operands if (c := self._conditions[t.number])]
            if op == "select_n":
                below.append(frozenset([operands[0].number]))
            self._conditions.append(frozenset().union(*below))
        return term

    def _given(self, term: Term, condition: Term, side: int) -> Term:
        """A term where it is known which operand every select of a condition gives."""
        if condition.number not in self._conditions[term.number]:
            return term
        if term.op == "select_n" and term.operands[0] is condition:
            return self._given(term.operands[1 + side], condition, side)
        # A fold takes in elements, or leaves, for which the condition may be another.
        if condition.kept is not None and (term.op == "fold" or (term.op == "reduce" and condition.kept != ())):
            return term
        operands = [self._given(t, condition, side) for t in term.operands]
        return self(term.op, term.parameter, operands, term.dtype, term.kept)


LeafShapes = dict[int, Shape]
