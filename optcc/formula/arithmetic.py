"""Emits arithmetic on trees and scalars: one `optim.map` an operation, one dtype group at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from xdsl.dialects.builtin import ComplexType, f64, i1
from xdsl.ir import Attribute, Block, SSAValue

from optcc.dialect import Extent, element_type
from optcc.dtypes import compute_dtype, dtype_of, real_of, type_of
from optcc.formula import complex_code, scalar_code
from optcc.formula.locations import locate
from optcc.formula.map_emitter import MapEmitter
from optcc.formula.promotion import finest_extent, logical_dtype, promote, tree_type, weak_type
from optcc.formula.values import HOST_F64, GroupedLeaves, Key, Operand, Scalar, Scattered, Tree, Zipped


class Emitter(MapEmitter):
    """Emits ops into a block. Sub-float32 leaves are widened when they are read and rounded once when stored.

    A tree of a complex dtype may have real values, as moments of sizes do; they become complex when they are stored.
    """

    # Making values

    def load(self, leaf_set: GroupedLeaves, values: dict[int, SSAValue]) -> Tree:
        """A tree from values in the dtypes that arrays have: floats below float32 are widened here."""
        dtypes: dict[int, np.dtype] = {}
        parts: dict[int, SSAValue] = {}
        extent: str = Extent.ELEMENTS
        for k, value in values.items():
            type_ = tree_type(value)
            dtypes[k] = dtype_of(type_.element)
            parts[k] = self._cast_part(value, type_of(compute_dtype(dtypes[k])))
            extent = type_.extent.data
        return Tree(self, leaf_set, parts, dtypes, extent=extent)

    def store(self, tree: Tree, dtypes: dict[int, np.dtype] | None = None) -> dict[int, SSAValue]:
        """The values of a tree in the dtypes given, or in its own: the one place where a tree is rounded."""
        dtypes = dtypes or tree.dtypes
        return {k: self._cast_part(part, type_of(dtypes[k])) for k, part in tree.parts.items()}

    def full(
        self,
        leaf_set: GroupedLeaves,
        value: float | Scalar,
        dtypes: dict[int, np.dtype],
        *,
        extent: str = Extent.ELEMENTS,
    ) -> Tree:
        """A tree of one number over a leaf set, with the dtype of each group."""

        def part(k: int) -> SSAValue:
            type_ = type_of(real_of(compute_dtype(dtypes[k])))
            inputs = [self.scalar_as(value, type_)] if isinstance(value, Scalar) else []

            def body(block: Block, *args: SSAValue) -> SSAValue:
                return args[0] if args else scalar_code.constant(block, float(value), type_)  # type: ignore[arg-type]

            return self.map_leaves(leaf_set.groups[k], inputs, body, type_, extent=extent)

        return Tree(self, leaf_set, {k: part(k) for k in leaf_set.groups}, dtypes, extent=extent)

    def full_like(
        self, tree: Tree, value: float | Scalar, dtype: DTypeLike | None = None, *, extent: str = Extent.ELEMENTS
    ) -> Tree:
        """A tree of one number over the leaves of `tree`, of `dtype` or of its dtypes."""
        target = None if dtype is None else np.dtype(dtype)
        return self.full(tree.leaf_set, value, {k: target or d for k, d in tree.dtypes.items()}, extent=extent)

    def zeros_like(self, tree: Tree, dtype: DTypeLike | None = None) -> Tree:
        """A tree of zeros, of `dtype` or of the dtypes of `tree`."""
        return self.full_like(tree, 0.0, dtype)

    def cast(self, tree: Tree, dtype: DTypeLike | None) -> Tree:
        """The same values, to be rounded to `dtype` when they are stored; None leaves the dtypes as they are."""
        if dtype is None:
            return tree
        dtypes = dict.fromkeys(tree.parts, np.dtype(dtype))
        return Tree(self, tree.leaf_set, self._cast_parts(tree, dtypes), dtypes, extent=tree.extent)

    def cast_like(self, tree: Tree, like: Tree) -> Tree:
        """The same values with the dtypes of `like`."""
        parts = self._cast_parts(tree, like.dtypes)
        return Tree(self, tree.leaf_set, parts, dict(like.dtypes), extent=tree.extent)

    def as_typed(self, tree: Tree) -> Tree:
        """The same tree with values that are complex wherever its dtype is."""
        parts = {k: self._cast_part(v, type_of(compute_dtype(tree.dtypes[k]))) for k, v in tree.parts.items()}
        return Tree(self, tree.leaf_set, parts, tree.dtypes, extent=tree.extent)

    def cast_scalar(self, scalar: Scalar, dtype: DTypeLike, *, weak: bool = False) -> Scalar:
        """A scalar converted to a numpy dtype."""
        return Scalar(self, self.scalar_as(scalar, type_of(dtype)), np.dtype(dtype), weak=weak)

    def integer(self, value: int) -> Scalar:
        """A 0-d int32."""
        return Scalar(self, scalar_code.constant(self._block, value, type_of(np.int32)), np.dtype(np.int32), weak=False)

    def number(self, value: float, dtype: DTypeLike, *, weak: bool = True) -> Scalar:
        """A 0-d constant of a numpy dtype."""
        return Scalar(self, scalar_code.constant(self._block, value, type_of(dtype)), np.dtype(dtype), weak=weak)

    def scalar(self, value: SSAValue, *, weak: bool = False) -> Scalar:
        """Wrap an SSA value of the function."""
        return Scalar(self, value, dtype_of(value.type), weak=weak)

    # Arithmetic

    def binary(self, kind: str, lhs: Operand, rhs: Operand) -> Any:
        """`add`, `sub`, `mul`, `div`, `max`, `min` or `pow`, broadcasting scalars and per-leaf values."""
        return self._elementwise(lambda block, a, b: complex_code.binary(block, kind, a, b), lhs, rhs)

    def unary(self, kind: str, value: Operand) -> Any:
        """One of `scalar_code.UNARY`."""
        return self._elementwise(lambda block, a: complex_code.unary(block, kind, a), value)

    def compare(self, kind: str, lhs: Operand, rhs: Operand) -> Any:
        """`lt`, `le`, `gt`, `ge`, `eq` or `ne`, as bools."""
        return self._elementwise(lambda block, a, b: complex_code.compare(block, kind, a, b), lhs, rhs, boolean=True)

    def logical(self, kind: str, lhs: Operand, rhs: Operand) -> Any:
        """`or`, `and` or `xor` of bools."""
        return self._elementwise(lambda block, a, b: scalar_code.binary(block, kind, a, b), lhs, rhs, boolean=True)

    def where(self, condition: Operand, true: Operand, false: Operand) -> Any:
        """`true` where the condition holds, else `false`."""
        return self._elementwise(complex_code.select, condition, true, false, first_is_bool=True)

    def maximum(self, lhs: Operand, rhs: Operand) -> Any:
        """The larger; NaN if either is."""
        return self.binary("max", lhs, rhs)

    def minimum(self, lhs: Operand, rhs: Operand) -> Any:
        """The smaller; NaN if either is."""
        return self.binary("min", lhs, rhs)

    def sqrt(self, value: Operand) -> Any:
        return self.unary("sqrt", value)

    def rsqrt(self, value: Operand) -> Any:
        return self.unary("rsqrt", value)

    def abs(self, value: Operand) -> Any:
        return _of_sizes(self.unary("abs", value))

    def abs_sq(self, value: Operand) -> Any:
        """``|x|**2``, of a real dtype: what `square` is for real numbers."""
        return _of_sizes(self._elementwise(complex_code.abs_sq, value))

    def inner(self, lhs: Tree, rhs: Tree) -> Scalar:
        """The real part of the inner product of all elements."""
        return _of_sizes(self._elementwise(complex_code.inner, lhs, rhs)).sum()

    def real(self, tree: Tree) -> Tree:
        """The real part, in the dtype of the whole: for a state whose imaginary part is 0, as Optax keeps sizes."""
        parts = {
            k: self.map_leaves(symbol, [tree.parts[k]], complex_code.real, extent=tree.extent)
            if isinstance(element_type(tree.parts[k].type), ComplexType)
            else tree.parts[k]
            for k, symbol in tree.leaf_set.groups.items()
        }
        return Tree(self, tree.leaf_set, parts, dict(tree.dtypes), extent=tree.extent)

    def tanh(self, value: Operand) -> Any:
        return self.unary("tanh", value)

    def sign(self, value: Operand) -> Any:
        return self._elementwise(complex_code.sign, value)

    def square(self, value: Operand) -> Any:
        return self.power(value, 2)

    def power(self, lhs: Operand, rhs: Operand) -> Any:
        """`lhs**rhs`; a positive Python integer as exponent multiplies out."""
        if isinstance(rhs, int) and rhs > 0:
            return self._elementwise(lambda block, a: complex_code.integer_power(block, a, rhs), lhs)
        return self.binary("pow", lhs, rhs)

    def remainder(self, lhs: Scalar, rhs: Operand) -> Any:
        """The remainder of a division of integers, with the sign of `lhs`."""
        return self.binary("rem", lhs, rhs)

    def select(self, condition: Scalar, true: Operand, false: Operand) -> Any:
        """One of two pytrees of builder values with one structure, as `where` on each value."""

        def one(a: Any, b: Any) -> Any:
            if isinstance(a, Zipped | Scattered):
                return a.with_values(map(one, a.values, b.values))
            if isinstance(a, Key):
                return Key(scalar_code.select(self._block, condition.value, a.value, b.value), a.implementation)
            return self.where(condition, a, b)

        return jax.tree.map(one, true, false)

    def is_finite(self, tree: Tree) -> Tree:
        """Whether each element is neither infinite nor NaN."""
        return self._elementwise(complex_code.is_finite, tree, boolean=True)

    def increment(self, count: Scalar) -> Scalar:
        """`count + 1`, staying at the largest integer instead of wrapping."""
        limit = int(jnp.iinfo(count.dtype).max)
        return self.where(count < limit, count + 1, limit)

    def _elementwise(
        self, emit_fn: Callable[..., SSAValue], *operands: Any, boolean: bool = False, first_is_bool: bool = False
    ) -> Any:
        values = operands[1:] if first_is_bool else operands
        trees = [v for v in operands if isinstance(v, Tree)]
        if not trees:
            return self._scalar_op(emit_fn, operands, boolean, first_is_bool)
        leaf_set = trees[0].leaf_set
        for tree in trees[1:]:
            if (tree.leaf_set.groups, tree.leaf_set.members) != (leaf_set.groups, leaf_set.members):
                raise TypeError("the trees of one operation must be over the same leaves; split or join them first")
        extent = finest_extent([tree.extent for tree in trees])
        parts: dict[int, SSAValue] = {}
        dtypes: dict[int, np.dtype] = {}
        for k, symbol in leaf_set.groups.items():
            dtype = promote([logical_dtype(v, k) for v in values])
            element = type_of(real_of(compute_dtype(dtype)))
            inputs: list[SSAValue] = []
            slots: list[float | None] = []
            for i, v in enumerate(operands):
                wanted = i1 if first_is_bool and i == 0 else element
                if isinstance(v, Tree):
                    inputs.append(v.parts[k])
                elif isinstance(v, Scalar):
                    inputs.append(self.scalar_as(v, wanted))
                slots.append(None if isinstance(v, Tree | Scalar) else float(v))

            def body(
                block: Block, *args: SSAValue, slots: list[float | None] = slots, element: Attribute = element
            ) -> SSAValue:
                rest = iter(args)
                given = [next(rest) if s is None else scalar_code.constant(block, s, element) for s in slots]
                fixed = [
                    a if first_is_bool and i == 0 else complex_code.cast_parts(block, a, element)
                    for i, a in enumerate(given)
                ]
                return emit_fn(block, *fixed)

            parts[k] = self.map_leaves(symbol, inputs, body, extent=extent)
            dtypes[k] = np.dtype(bool) if boolean else dtype
        return Tree(self, leaf_set, parts, dtypes, extent=extent)

    def _scalar_op(
        self, emit_fn: Callable[..., SSAValue], operands: Sequence[Any], boolean: bool, first_is_bool: bool
    ) -> Scalar:
        values = operands[1:] if first_is_bool else operands
        scalars = [v for v in values if isinstance(v, Scalar)]
        host = all(v.dtype is HOST_F64 for v in scalars)
        if host:
            dtype: Any = HOST_F64
            type_: Attribute = f64
        else:
            dtype = promote([v.dtype if isinstance(v, Scalar) and not v.weak else weak_type(v) for v in values])
            type_ = type_of(dtype)
        args: list[SSAValue] = []
        for i, v in enumerate(operands):
            if isinstance(v, Scalar):
                args.append(v.value if first_is_bool and i == 0 else self.scalar_as(v, type_))
            else:
                args.append(scalar_code.constant(self._block, v, type_))
        result = emit_fn(self._block, *args)
        locate(self._block, self.scope)
        return Scalar(self, result, np.dtype(bool) if boolean else dtype, weak=all(v.weak for v in scalars))

    def as_float32(self, scalar: Scalar) -> Scalar:
        """A scalar as a float32 array, which takes part in promotion."""
        return Scalar(self, self.scalar_as(scalar, type_of(np.float32)), np.dtype(np.float32), weak=False)

    def scalar_as(self, scalar: Scalar, type_: Attribute) -> SSAValue:
        """The SSA value of a scalar, converted to a type."""
        return scalar_code.cast(self._block, scalar.value, type_)


def _of_sizes(value: Operand) -> Any:
    """A tree of real values, in the dtypes of the parts of complex ones; any other value itself."""
    if isinstance(value, Tree):
        value.dtypes = {k: real_of(dtype) for k, dtype in value.dtypes.items()}
    return value
