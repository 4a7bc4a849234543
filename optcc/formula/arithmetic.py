"""Emits arithmetic on trees and scalars: one `optim.map` an operation, one dtype group at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from xdsl.dialects.builtin import SymbolRefAttr, f64, i1
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from optcc.dialect import Extent, MapOp, TreeType, YieldOp, element_type
from optcc.dtypes import compute_dtype, dtype_of, type_of
from optcc.errors import message
from optcc.formula import scalar_code
from optcc.formula.promotion import finest_extent, logical_dtype, promote, tree_type, weak_type
from optcc.formula.values import HOST_F64, GroupedLeaves, Key, Scalar, Scattered, Tree, Zipped

Operand = Any
"""A tree, a scalar or a Python number."""


class Emitter(ABC):
    """Emits ops into a block. Sub-float32 leaves are widened when they are read and rounded once when stored."""

    def __init__(self, block: Block) -> None:
        self._block = block

    @property
    @abstractmethod
    def where_in_chain(self) -> str:
        """The transformation being built, for errors."""

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
            self._check_real(dtypes[k])
            type_ = type_of(compute_dtype(dtypes[k]))
            inputs = [self.scalar_as(value, type_)] if isinstance(value, Scalar) else []

            def body(block: Block, *args: SSAValue) -> SSAValue:
                return args[0] if args else scalar_code.constant(block, float(value), type_)  # type: ignore[arg-type]

            return self.map_leaves(leaf_set.groups[k], inputs, body, type_, extent=extent)

        return Tree(self, leaf_set, {k: part(k) for k in leaf_set.groups}, dtypes, extent=extent)

    def _check_real(self, dtype: Any) -> None:
        """Raises TypeError for a complex dtype, of which bodies know the parts only."""
        if jnp.issubdtype(dtype, jnp.complexfloating):
            fix = "wrap it: split_real_and_imaginary(...)"
            raise TypeError(message("this transformation works on real arrays only", self.where_in_chain, fix))

    def full_like(self, tree: Tree, value: float | Scalar, dtype: Any = None, *, extent: str = Extent.ELEMENTS) -> Tree:
        """A tree of one number over the leaves of `tree`, of `dtype` or of its dtypes."""
        target = None if dtype is None else np.dtype(dtype)
        return self.full(tree.leaf_set, value, {k: target or d for k, d in tree.dtypes.items()}, extent=extent)

    def zeros_like(self, tree: Tree, dtype: Any = None) -> Tree:
        """A tree of zeros, of `dtype` or of the dtypes of `tree`."""
        return self.full_like(tree, 0.0, dtype)

    def cast(self, tree: Tree, dtype: Any) -> Tree:
        """The same values, to be rounded to `dtype` when they are stored; None leaves the dtypes as they are."""
        if dtype is None:
            return tree
        dtypes = dict.fromkeys(tree.parts, np.dtype(dtype))
        parts = {k: self._cast_part(v, type_of(compute_dtype(dtypes[k]))) for k, v in tree.parts.items()}
        return Tree(self, tree.leaf_set, parts, dtypes, extent=tree.extent)

    def cast_like(self, tree: Tree, like: Tree) -> Tree:
        """The same values with the dtypes of `like`."""
        parts = {k: self._cast_part(v, type_of(compute_dtype(like.dtypes[k]))) for k, v in tree.parts.items()}
        return Tree(self, tree.leaf_set, parts, dict(like.dtypes), extent=tree.extent)

    def cast_scalar(self, scalar: Scalar, dtype: Any, *, weak: bool = False) -> Scalar:
        """A scalar converted to a numpy dtype."""
        return Scalar(self, self.scalar_as(scalar, type_of(dtype)), np.dtype(dtype), weak=weak)

    def integer(self, value: int) -> Scalar:
        """A 0-d int32."""
        return Scalar(self, scalar_code.constant(self._block, value, type_of(np.int32)), np.dtype(np.int32), weak=False)

    def number(self, value: float, dtype: Any, *, weak: bool = True) -> Scalar:
        """A 0-d constant of a numpy dtype."""
        return Scalar(self, scalar_code.constant(self._block, value, type_of(dtype)), np.dtype(dtype), weak=weak)

    def scalar(self, value: SSAValue, *, weak: bool = False) -> Scalar:
        """Wrap an SSA value of the function."""
        return Scalar(self, value, dtype_of(value.type), weak=weak)

    # Arithmetic

    def binary(self, kind: str, lhs: Operand, rhs: Operand) -> Any:
        """`add`, `sub`, `mul`, `div`, `max`, `min` or `pow`, broadcasting scalars and per-leaf values."""
        return self._elementwise(lambda block, a, b: scalar_code.binary(block, kind, a, b), lhs, rhs)

    def unary(self, kind: str, value: Any) -> Any:
        """One of `scalar_code.UNARY`."""
        return self._elementwise(lambda block, a: scalar_code.unary(block, kind, a), value)

    def compare(self, kind: str, lhs: Operand, rhs: Operand) -> Any:
        """`lt`, `le`, `gt`, `ge`, `eq` or `ne`, as bools."""
        return self._elementwise(lambda block, a, b: scalar_code.compare(block, kind, a, b), lhs, rhs, boolean=True)

    def logical(self, kind: str, lhs: Operand, rhs: Operand) -> Any:
        """`or`, `and` or `xor` of bools."""
        return self._elementwise(lambda block, a, b: scalar_code.binary(block, kind, a, b), lhs, rhs, boolean=True)

    def where(self, condition: Any, true: Any, false: Any) -> Any:
        """`true` where the condition holds, else `false`."""
        return self._elementwise(scalar_code.select, condition, true, false, first_is_bool=True)

    def maximum(self, lhs: Operand, rhs: Operand) -> Any:
        """The larger; NaN if either is."""
        return self.binary("max", lhs, rhs)

    def minimum(self, lhs: Operand, rhs: Operand) -> Any:
        """The smaller; NaN if either is."""
        return self.binary("min", lhs, rhs)

    def sqrt(self, value: Any) -> Any:
        return self.unary("sqrt", value)

    def rsqrt(self, value: Any) -> Any:
        return self.unary("rsqrt", value)

    def abs(self, value: Any) -> Any:
        return self.unary("abs", value)

    def tanh(self, value: Any) -> Any:
        return self.unary("tanh", value)

    def sign(self, value: Any) -> Any:
        return self._elementwise(scalar_code.sign, value)

    def square(self, value: Any) -> Any:
        return self.power(value, 2)

    def power(self, lhs: Any, rhs: Any) -> Any:
        """`lhs**rhs`; a positive Python integer as exponent multiplies out."""
        if isinstance(rhs, int) and rhs > 0:
            return self._elementwise(lambda block, a: scalar_code.integer_power(block, a, rhs), lhs)
        return self.binary("pow", lhs, rhs)

    def remainder(self, lhs: Scalar, rhs: Operand) -> Any:
        """The remainder of a division of integers, with the sign of `lhs`."""
        return self.binary("rem", lhs, rhs)

    def select(self, condition: Scalar, true: Any, false: Any) -> Any:
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
        return self.abs(tree) < float("inf")

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
            self._check_real(dtype)
            element = type_of(compute_dtype(dtype))
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
                    a if first_is_bool and i == 0 else scalar_code.cast(block, a, element) for i, a in enumerate(given)
                ]
                return emit_fn(block, *fixed)

            parts[k] = self.map_leaves(symbol, inputs, body, i1 if boolean else element, extent=extent)
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
        return Scalar(self, result, np.dtype(bool) if boolean else dtype, weak=all(v.weak for v in scalars))

    def as_float32(self, scalar: Scalar) -> Scalar:
        """A scalar as a float32 array, which takes part in promotion."""
        return Scalar(self, self.scalar_as(scalar, type_of(np.float32)), np.dtype(np.float32), weak=False)

    def scalar_as(self, scalar: Scalar, type_: Attribute) -> SSAValue:
        """The SSA value of a scalar, converted to a type."""
        return scalar_code.cast(self._block, scalar.value, type_)

    # Emission

    @property
    def block(self) -> Block:
        """Where step-level ops go."""
        return self._block

    def add(self, op: Operation) -> Operation:
        """Append an op."""
        self._block.add_op(op)
        return op

    def map_parts(self, values: Sequence[SSAValue], make: Callable[..., Operation], element: Attribute) -> SSAValue:
        """Apply one scalar op to the values of parts of trees over one leaf set."""

        def body(block: Block, *args: SSAValue) -> SSAValue:
            op = make(*args)
            block.add_op(op)
            return op.results[0]

        type_ = tree_type(values[0])
        return self.map_leaves(type_.leaves, values, body, element, extent=type_.extent.data)

    def _cast_part(self, part: SSAValue, element: Attribute) -> SSAValue:
        type_ = tree_type(part)
        if type_.element == element:
            return part
        leaves, extent = type_.leaves, type_.extent.data
        return self.map_leaves(leaves, [part], lambda b, x: scalar_code.cast(b, x, element), element, extent=extent)

    def map_leaves(
        self,
        symbol: str | SymbolRefAttr,
        inputs: Sequence[SSAValue],
        body: Callable[..., SSAValue],
        element: Attribute,
        *,
        extent: str,
    ) -> SSAValue:
        """A map over a leaf set; `body(block, *args)` emits what it yields."""
        block = Block(arg_types=[element_type(v.type) for v in inputs])
        block.add_op(YieldOp(body(block, *block.args)))
        leaves = SymbolRefAttr(symbol) if isinstance(symbol, str) else symbol
        return self.add(MapOp(leaves, inputs, [TreeType.of(element, leaves, extent)], Region(block))).results[0]
