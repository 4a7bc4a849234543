"""The values a formula is written with: trees, per-leaf values and scalars, with arithmetic."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from xdsl.ir import SSAValue

from optcc.dtypes import default_float
from optcc.errors import message

HOST_F64 = "python"
"""The dtype of a number that Python computes, in float64, before any step: a hyperparameter given as a number."""

NO_ARRAY = "an array cannot be computed from a value of the IR while a program is built"
USE_OPERATORS = "use Python's operators, with Python's numbers; they are all that works on an injected hyperparameter"


@dataclass(frozen=True)
class GroupedLeaves:
    """Leaves of one pytree, or some of them.

    `structure` is the pytree with `MaskedNode` where a leaf is left out; a side of a split that is only joined again
    may keep the whole one. For each group of leaves with one signature of dtypes, `groups` has the name of its leaf
    set in the module and `members` the indices of its leaves in the whole tree, whose name is `root`.
    """

    root: str
    structure: Any
    groups: dict[int, str]
    members: dict[int, tuple[int, ...]]

    @cached_property
    def leaves(self) -> tuple[int, ...]:
        """The indices of all leaves, in tree order."""
        return tuple(sorted(i for group in self.members.values() for i in group))


Operand: TypeAlias = "Tree | Scalar | float"
"""What arithmetic takes: values over leaves, step-level numbers and Python's numbers."""


class Arithmetic:
    """Operators shared by trees and scalars; the builder does the work."""

    builder: Any  # the emitter, which is above this module

    def __add__(self, other: Operand):
        return self.builder.binary("add", self, other)

    def __radd__(self, other: Operand):
        return self.builder.binary("add", other, self)

    def __sub__(self, other: Operand):
        return self.builder.binary("sub", self, other)

    def __rsub__(self, other: Operand):
        return self.builder.binary("sub", other, self)

    def __mul__(self, other: Operand):
        return self.builder.binary("mul", self, other)

    def __rmul__(self, other: Operand):
        return self.builder.binary("mul", other, self)

    def __truediv__(self, other: Operand):
        return self.builder.binary("div", self, other)

    def __rtruediv__(self, other: Operand):
        return self.builder.binary("div", other, self)

    def __pow__(self, other: Operand):
        return self.builder.power(self, other)

    def __rpow__(self, other: Operand):
        return self.builder.power(other, self)

    def __neg__(self):
        return self.builder.unary("neg", self)

    def __lt__(self, other: Operand):
        return self.builder.compare("lt", self, other)

    def __le__(self, other: Operand):
        return self.builder.compare("le", self, other)

    def __gt__(self, other: Operand):
        return self.builder.compare("gt", self, other)

    def __ge__(self, other: Operand):
        return self.builder.compare("ge", self, other)

    def equals(self, other: Operand):
        """Elementwise equality; `==` is left to mean identity, so that values can be keys."""
        return self.builder.compare("eq", self, other)

    def __or__(self, other: Operand):
        return self.builder.logical("or", self, other)

    def __and__(self, other: Operand):
        return self.builder.logical("and", self, other)

    def __bool__(self) -> bool:
        raise TypeError("a value of the IR has no truth value while a program is built; use b.where(condition, a, b)")


class Tree(Arithmetic):
    """Values over a leaf set, of one extent: every element, one scalar a leaf, or what some axes leave.

    `parts` has one SSA value for each dtype group of the leaf set, in the type the arithmetic is done in (float32
    for bfloat16 and float16). `dtypes` is the dtype that JAX's promotion rules give the value, which it is rounded
    to when it is stored.
    """

    def __init__(
        self,
        builder: Any,
        leaf_set: GroupedLeaves,
        parts: dict[int, SSAValue],
        dtypes: dict[int, np.dtype],
        *,
        extent: str = "elements",
    ) -> None:
        self.builder = builder
        self.leaf_set = leaf_set
        self.parts = parts
        self.dtypes = dtypes
        self.extent = extent

    def sum(self) -> Scalar:
        """The sum over every element of every leaf."""
        return self.builder.reduce_tree(self)

    def sum_per_leaf(self) -> Tree:
        """The sum over each leaf."""
        return self.builder.reduce_leaves(self)


@dataclass(frozen=True)
class Zipped:
    """Trees over some leaves each of one pytree, which a state keeps as one list of arrays for each leaf.

    The list of a leaf has the arrays of the trees that have the leaf, in order. Only for states.
    """

    whole: GroupedLeaves
    values: tuple[Tree, ...]

    def with_values(self, values: Iterable[Any]) -> Zipped:
        """The same with other trees."""
        return replace(self, values=tuple(values))


@dataclass(frozen=True)
class Scattered:
    """Values that a state keeps as arrays in places of its own, as another library arranges them.

    `structure` is the pytree. `places` has, for each value, where its arrays are among the leaves of the pytree, in
    tree order of the value, and `paths` its path there. Only for states.
    """

    structure: Any
    values: tuple[Any, ...]
    places: tuple[tuple[int, ...], ...]
    paths: tuple[tuple[str, ...], ...]

    def with_values(self, values: Iterable[Any]) -> Scattered:
        """The same with other values."""
        return replace(self, values=tuple(values))


@dataclass(frozen=True)
class Key:
    """A key of random numbers: its value is the key's data. Only for states and `Builder.random_normal`."""

    value: SSAValue
    implementation: str


class Scalar(Arithmetic):
    """A step-level number: a count, a learning rate, a global norm.

    `dtype` is `HOST_F64` or a numpy dtype; a `weak` one does not take part in promotion, as a Python number does not.
    """

    def __init__(self, builder: Any, value: SSAValue, dtype: Any, *, weak: bool) -> None:
        self.builder = builder
        self.value = value
        self.dtype = dtype
        self.weak = weak

    @property
    def array_dtype(self) -> np.dtype:
        """The dtype of the array that this number becomes."""
        return default_float() if self.dtype is HOST_F64 else self.dtype

    def _refuse(self, *_: Any, **__: Any) -> Any:
        """What numpy and `math` find when they are given a scalar of the IR."""
        raise TypeError(message(NO_ARRAY, self.builder.where_in_chain, USE_OPERATORS))

    __array__ = __float__ = __int__ = __index__ = _refuse
