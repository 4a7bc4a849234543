"""Emits maps: what arithmetic on trees is made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
from xdsl.dialects import complex as complex_dialect
from xdsl.dialects.builtin import ComplexType, SymbolRefAttr
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from optcc.dialect import MapOp, TreeType, YieldOp, element_type
from optcc.dtypes import compute_dtype, real_of, type_of
from optcc.errors import message
from optcc.formula import complex_code
from optcc.formula.locations import locate
from optcc.formula.promotion import tree_type
from optcc.formula.values import Tree


class MapEmitter(ABC):
    """Emits maps, and conversions, into a block."""

    def __init__(self, block: Block) -> None:
        self._block = block
        self.scope = ""
        """The transformation being built, as locations name it."""

    @property
    @abstractmethod
    def where_in_chain(self) -> str:
        """The transformation being built, for errors."""

    @abstractmethod
    def first_leaf(self, symbol: str) -> str:
        """The path of the first leaf of a leaf set, for errors."""

    @property
    def block(self) -> Block:
        """Where step-level ops go."""
        return self._block

    def add(self, op: Operation) -> Operation:
        """Append an op."""
        self._block.add_op(op)
        locate(self._block, self.scope)
        return op

    def map_parts(self, values: Sequence[SSAValue], make: Callable[..., Operation], element: Attribute) -> SSAValue:
        """Apply one scalar op to the values of parts of trees over one leaf set."""

        def body(block: Block, *args: SSAValue) -> SSAValue:
            op = make(*args)
            block.add_op(op)
            return op.results[0]

        type_ = tree_type(values[0])
        return self.map_leaves(type_.leaves, values, body, element, extent=type_.extent.data)

    def by_parts(self, value: SSAValue, fold: Callable[[SSAValue], SSAValue]) -> SSAValue:
        """What `fold` makes of a value over a leaf set; of a complex one that of each part, put together."""
        element = tree_type(value).element
        if not isinstance(element, ComplexType):
            return fold(value)
        ops = complex_dialect.ReOp, complex_dialect.ImOp
        folded = [fold(self.map_parts([value], op, element.element_type)) for op in ops]
        return self.map_parts(folded, lambda x, y: complex_dialect.CreateOp(x, y, element), element)

    def refusal(self, what: str, symbol: SymbolRefAttr, fix: str = complex_code.WITHOUT_COMPLEX) -> ValueError:
        """The error for an operation without a meaning for complex numbers, with a leaf of a set."""
        return ValueError(message(what, f"{self.where_in_chain}, leaf {self.first_leaf(symbol.string_value())!r}", fix))

    def _cast_parts(self, tree: Tree, dtypes: dict[int, np.dtype]) -> dict[int, SSAValue]:
        """The values of a tree in the types that dtypes are computed in; what is real stays real."""
        parts: dict[int, SSAValue] = {}
        for k, part in tree.parts.items():
            dtype = compute_dtype(dtypes[k])
            is_complex = isinstance(tree_type(part).element, ComplexType)
            parts[k] = self._cast_part(part, type_of(dtype if is_complex else real_of(dtype)))
        return parts

    def _cast_part(self, part: SSAValue, element: Attribute) -> SSAValue:
        type_ = tree_type(part)
        if type_.element == element:
            return part
        return self.map_leaves(
            type_.leaves, [part], lambda b, x: complex_code.cast(b, x, element), element, extent=type_.extent.data
        )

    def map_leaves(
        self,
        symbol: str | SymbolRefAttr,
        inputs: Sequence[SSAValue],
        body: Callable[..., SSAValue],
        element: Attribute | None = None,
        *,
        extent: str,
    ) -> SSAValue:
        """A map over a leaf set; `body(block, *args)` emits what it yields, of the type `element` if that is given.

        Raises ValueError, with a leaf, where the body has no meaning for complex numbers.
        """
        block = Block(arg_types=[element_type(v.type) for v in inputs])
        leaves = SymbolRefAttr(symbol) if isinstance(symbol, str) else symbol
        try:
            value = body(block, *block.args)
        except complex_code.NoComplexForm as error:
            raise self.refusal(error.what, leaves, error.fix) from None
        assert element is None or value.type == element
        block.add_op(YieldOp(value))
        return self.add(MapOp(leaves, inputs, [TreeType.of(value.type, leaves, extent)], Region(block))).results[0]
