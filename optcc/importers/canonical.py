"""Expressions in one form, so that what two programs compute can be compared: equal expressions have one number.

An expression is of one element. Its inputs are elements of arrays, by array and leaf, its ops those of arithmetic.
Floats below float32 are computed with in float32; rounding to them is an op. A sum, maximum or minimum of numbers of
several leaves is one op on all of them, whatever the order; the order in which it was written is kept beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from optcc.dtypes import compute_dtype

FOLDS = frozenset({"add", "max", "min", "and", "or"})
_LOGICAL = {"min": "and", "max": "or"}


def _union(sets: Sequence[frozenset[int]]) -> frozenset[int]:
    found = [one for one in sets if one]
    return found[0] if len(found) == 1 else frozenset().union(*found)


class Expressions:
    """Numbers expressions: equal ones have one number."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self.operands: list[tuple[int, ...]] = []
        self.leaf: list[int | None] = []
        """The leaf that each expression is of: None for a number of the step, such as a fold over leaves is."""
        self.op: list[Any] = []
        self._varies: list[frozenset[int]] = []
        """The axes of its leaf along which each expression may vary."""
        self._conditions: list[frozenset[int]] = []
        """The conditions of the selects in each expression."""
        self.order: dict[int, tuple[str, tuple[int | None, ...]]] = {}
        """For a fold over leaves its op and the leaves in the order in which it was first written."""
        self._items: dict[int, tuple[int, ...]] = {}
        self._zero = -1
        self._zero = self.constant(0.0, np.dtype(np.float32))

    def __call__(self, op: Any, *operands: int) -> int:
        if op == "gt" and operands[1] == self._zero:
            logical = self._as_logical(operands[0])
            if logical is not None:
                return logical
        if op == "select":
            condition, true, false = operands
            operands = condition, self._given(true, condition, 1), self._given(false, condition, 2)
        number = self._numbers.get((op, operands))
        return self._new(op, operands) if number is None else number

    def of_numbers(self, op: Any, *operands: int) -> int:
        """An op on single numbers, which may continue a fold over leaves."""
        folded = self._fold(op, *operands) if op in FOLDS and len(operands) == 2 else None
        return self(op, *operands) if folded is None else folded

    def _new(self, op: Any, operands: tuple[int, ...]) -> int:
        number = self._numbers[op, operands] = len(self.op)
        self.op.append(op)
        self.operands.append(operands)
        self.leaf.append(self._leaf_of(operands))
        varies = _union([self._varies[x] for x in operands])
        self._varies.append(varies - set(op[2]) if op[0] == "reduce" else varies)
        conditions = [self._conditions[x] for x in operands]
        self._conditions.append(_union([*conditions, frozenset(operands[:1])] if op == "select" else conditions))
        return number

    def _leaf_of(self, operands: tuple[int, ...]) -> int | None:
        """The leaf of an operation's result: that whose elements it takes, else that whose numbers."""
        leaves = {leaf for x in operands if (leaf := self.leaf[x]) is not None}
        if len(leaves) > 1:
            leaves = {self.leaf[x] for x in operands if self._varies[x]}
        return leaves.pop() if len(leaves) == 1 else None

    def _given(self, x: int, condition: int, side: int) -> int:
        """An expression where each select of a condition gives one operand; not in a fold of what it varies along."""
        if condition not in self._conditions[x]:
            return x
        op, operands = self.op[x], self.operands[x]
        if op == "select" and operands[0] == condition:
            return self._given(operands[side], condition, side)
        varies = self._varies[condition]
        if op[0] == "over leaves":
            if varies or self.leaf[condition] is not None:
                return x
            return self._fold_of(op[1], tuple(self._given(item, condition, side) for item in self._items[x]))
        if op[0] == "reduce" and varies:
            return x
        return self(op, *[self._given(operand, condition, side) for operand in operands])

    def element(self, array: str, leaf: int | None, axes: Collection[int] = ()) -> int:
        """An element of an input at the place that is computed; it has the given axes of its leaf, of size above 1."""
        number = self(("input", array, leaf))
        self.leaf[number] = leaf
        self._varies[number] = frozenset(axes)
        return number

    def constant(self, value: Any, dtype: np.dtype) -> int:
        """A constant, in the dtype that it is computed with in."""
        rounded = np.asarray(np.asarray(value).astype(dtype).astype(compute_dtype(dtype)))
        return self(("constant", rounded.dtype.name, rounded.tobytes()))

    def convert(self, x: int, old: Any, new: Any) -> int:
        """A conversion, as JAX's: to bool it compares with 0, to a narrow float it rounds."""
        old, new = np.dtype(old), np.dtype(new)
        if self.op[x][0] == "constant" and jnp.issubdtype(old, jnp.floating) and jnp.issubdtype(new, jnp.floating):
            _, name, data = self.op[x]
            return self.constant(np.frombuffer(data, name)[0], new)
        narrow = compute_dtype(new) != new
        if old == new and not narrow:
            return x
        if new == np.bool_:
            return self("ne", x, self.constant(0, old))
        wide_old, wide_new = compute_dtype(old), compute_dtype(new)
        if narrow:
            if old == new or self._is_rounded(x, new):
                return x
            if not jnp.issubdtype(old, jnp.floating):
                x = self(("convert", old.name, "float32"), x)
            return self(("round", new.name), x)
        return x if wide_old == wide_new else self(("convert", wide_old.name, wide_new.name), x)

    def _is_rounded(self, x: int, dtype: np.dtype) -> bool:
        return self.op[x] == ("round", dtype.name)

    def reduce(self, kind: str, x: int, axes: tuple[int, ...]) -> int:
        """The fold of a leaf over some of its axes; those of size 1 are none."""
        return self(("reduce", kind, axes), x) if axes else x

    def _fold(self, op: str, x: int, y: int) -> int | None:
        """A fold over leaves, if the operands depend on several; a constant may stand in front."""
        x_folds, y_folds = (self._parts(op, z) != (z,) for z in (x, y))
        if not y_folds and self.leaf[y] is None:
            return None
        if not x_folds:
            if self.leaf[x] is None and not (y_folds and self.op[x][0] == "constant"):
                return None
            if not y_folds and self.leaf[x] == self.leaf[y]:
                return None
        first = self._parts(op, x)
        if first == (x,) and self.op[x] == op:
            start, item = self.operands[x]
            first = (start, item) if self.leaf[start] is None and self.leaf[item] is not None else first
        return self._fold_of(op, first + self._parts(op, y))

    def fold_all(self, op: str, items: tuple[int, ...]) -> int:
        """A fold over leaves of all items."""
        return items[0] if len(items) == 1 else self._fold_of(op, items)

    def _fold_of(self, op: str, items: tuple[int, ...]) -> int:
        key = (("over leaves", op), tuple(sorted(items)))
        number = self._numbers.get(key)
        if number is None:
            number = self._new(*key)
            self.leaf[number] = None
            self.order[number] = op, tuple(self.leaf[x] for x in items)
            self._items[number] = items
        return number

    def _as_logical(self, x: int) -> int | None:
        """Whether a fold of bools, as numbers 0 and 1, is above 0: the fold of the bools themselves."""
        op, operands = self.op[x], self.operands[x]
        match op:
            case ("convert", "bool", "float32"):
                return operands[0]
            case ("reduce", "min" | "max" as kind, axes):
                inner = self._as_logical(operands[0])
                return None if inner is None else self.reduce(_LOGICAL[kind], inner, axes)
            case ("over leaves", "min" | "max" as kind):
                items = [self._as_logical(item) for item in self._items[x]]
                found = tuple(item for item in items if item is not None)
                return self.fold_all(_LOGICAL[kind], found) if len(found) == len(items) else None
            case _:
                return None

    def _parts(self, op: str, x: int) -> tuple[int, ...]:
        return self._items[x] if self.op[x] == ("over leaves", op) else (x,)

    def folds_in(self, roots: list[int]) -> set[tuple[str, tuple[int | None, ...]]]:
        """The folds over leaves that some expressions have, as they were first written."""
        seen: set[int] = set()
        work = list(roots)
        while work:
            x = work.pop()
            if x not in seen:
                seen.add(x)
                work += self.operands[x]
        return {self.order[x] for x in seen if x in self.order}
