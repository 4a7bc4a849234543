"""A map in the making, for passes that build one from the bodies of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import SymbolRefAttr
from xdsl.ir import Attribute, Block, Region, SSAValue

from optcc.dialect import Combiner, MapOp, YieldOp, element_type
from optcc.passes.analysis.functions import body_ops, slice_of
from optcc.passes.rewrite.clone import clone_ops


@dataclass(frozen=True)
class _Result:
    value: SSAValue
    type_: Attribute
    kind: Combiner
    name: str | None


class MapDraft:
    """Operands, a body and results, from which `finish` makes an `optim.map`.

    An operand is there once, however many bodies that are put in read it. Names of values are kept.
    """

    def __init__(self, leaves: SymbolRefAttr) -> None:
        self.leaves = leaves
        self.block = Block()
        self._arguments: dict[SSAValue, SSAValue] = {}
        self._results: list[_Result] = []

    @staticmethod
    def with_operands_of(op: MapOp) -> MapDraft:
        """A draft over the leaves of a map that has its operands, in their order, used or not."""
        draft = MapDraft(op.leaves)
        for argument, operand in zip(op.block.args, op.inputs, strict=True):
            draft.operand(operand, argument.name_hint)
        return draft

    @property
    def operands(self) -> tuple[SSAValue, ...]:
        """The operands as they are so far."""
        return tuple(self._arguments)

    def operand(self, value: SSAValue, name: str | None = None) -> SSAValue:
        """What the body has for a value outside: an argument, which is made when it is asked for first."""
        if value not in self._arguments:
            argument = self.block.insert_arg(element_type(value.type), len(self.block.args))
            argument.name_hint = name or value.name_hint
            self._arguments[value] = argument
        return self._arguments[value]

    def inline(
        self,
        op: MapOp,
        roots: Sequence[SSAValue] | None = None,
        known: Mapping[SSAValue, SSAValue] | None = None,
    ) -> dict[SSAValue, SSAValue]:
        """Append the body of a map; the values here by those in that body.

        With `roots`, values of that body, only what they depend on is appended, and only the operands that this reads
        become operands. Values in `known` are here already: what they are made of is not looked at.
        """
        values: dict[SSAValue, SSAValue] = dict(known or {})
        stop = values.keys() | set(op.block.args)
        ops = body_ops(op) if roots is None else slice_of(roots, dict.fromkeys(stop), op.block)
        read = {v for inner in ops for v in inner.operands}.union(roots or op.block.args)
        for argument, operand in zip(op.block.args, op.inputs, strict=True):
            if argument in read and argument not in values:
                values[argument] = self.operand(operand, argument.name_hint)
        clone_ops(ops, self.block, values)
        return values

    def result(
        self, value: SSAValue, type_: Attribute, kind: Combiner = Combiner.NONE, name: str | None = None
    ) -> None:
        """Add a result: what the body yields for it, and how it is combined."""
        self._results.append(_Result(value, type_, kind, name))

    def results_of(self, op: MapOp, values: Mapping[SSAValue, SSAValue]) -> None:
        """Add all results of a map whose body was put in as `values`."""
        for output, value, kind in zip(op.outputs, op.yields.arguments, op.kinds, strict=True):
            self.result(values[value], output.type, kind, output.name_hint)

    def finish(self) -> MapOp:
        """The map, which stands nowhere yet."""
        self.block.add_op(YieldOp(*(r.value for r in self._results)))
        types, kinds = [r.type_ for r in self._results], [r.kind for r in self._results]
        new = MapOp(self.leaves, self.operands, types, Region(self.block), kinds)
        for output, made in zip(new.outputs, self._results, strict=True):
            output.name_hint = made.name
        return new

    def replace(self, op: MapOp) -> MapOp:
        """The map in the place of another one, whose results are its first."""
        new = self.finish()
        parent = op.parent
        assert parent is not None
        parent.insert_op_before(new, op)
        for old, output in zip(op.outputs, new.outputs, strict=False):
            old.replace_all_uses_with(output)
        op.detach()
        op.erase()
        return new
