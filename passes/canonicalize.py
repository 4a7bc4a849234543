"""canonicalize: xDSL's canonicalization, and the tidying of maps, splits and joins."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects import arith
from xdsl.dialects import complex as complex_dialect
from xdsl.dialects.builtin import AnyFloat, FloatAttr, ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    GreedyRewritePatternApplier,
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.transforms.canonicalize import CanonicalizePass

from optcc.dialect import Combiner, MapOp, ReshapeOp, SplitOp, parts_of
from optcc.passes.rewrite.map_draft import MapDraft


class TidyMap(RewritePattern):
    """Drop operands that the body does not use or has twice, and results that nobody uses or that are given twice."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: MapOp, rewriter: PatternRewriter) -> None:
        yields = list(op.yields.arguments)
        results: dict[tuple[SSAValue, Combiner, object], list[SSAValue]] = {}
        for result, value, kind in zip(op.outputs, yields, op.kinds, strict=True):
            if result.uses:
                results.setdefault((value, kind, result.type), []).append(result)
        draft = MapDraft(op.leaves)
        values = draft.inline(op, roots=[value for value, _, _ in results])
        if (len(draft.operands), len(results)) == (len(op.inputs), len(op.outputs)) or not results:
            return
        for (value, kind, _), same in results.items():
            draft.result(values[value], same[0].type, kind, same[0].name_hint)
        new = draft.finish()
        if new.domain != op.domain:
            # Without the operand that gave it its extent the map would be another one.
            new.erase()
            return
        replacements: dict[SSAValue, SSAValue] = {}
        for same, output in zip(results.values(), new.outputs, strict=True):
            replacements.update(dict.fromkeys(same, output))
        rewriter.replace(op, new, [replacements.get(r) for r in op.outputs])


class ForwardIdentity(RewritePattern):
    """A result that is just an operand of the same type is that operand."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: MapOp, rewriter: PatternRewriter) -> None:
        operands = dict(zip(op.block.args, op.inputs, strict=True))
        for result, value, kind in zip(op.outputs, op.yields.arguments, op.kinds, strict=True):
            source = operands.get(value)  # type: ignore[arg-type]
            if source is not None and kind is Combiner.NONE and source.type == result.type and result.uses:
                rewriter.replace_all_uses_with(result, source)
                rewriter.notify_op_modified(op)


class SplitOfJoin(RewritePattern):
    """Splitting what was joined from the same parts gives the parts."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: SplitOp, rewriter: PatternRewriter) -> None:
        by_type = {part.type: part for part in parts_of(op.whole)}
        if set(by_type) == set(op.parts.types):
            rewriter.replace(op, [], [by_type[t] for t in op.parts.types])


class ReshapeToItself(RewritePattern):
    """A reshape to the type that its operand has is its operand."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: ReshapeOp, rewriter: PatternRewriter) -> None:
        if op.operand.type == op.result.type:
            rewriter.replace(op, [], [op.operand])


class PartOfCreate(RewritePattern):
    """A part of a complex number that was made of parts is that part."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: complex_dialect.ReOp | complex_dialect.ImOp, rewriter: PatternRewriter) -> None:
        made = op.complex.owner
        if isinstance(made, complex_dialect.CreateOp):
            rewriter.replace(op, [], [made.real if isinstance(op, complex_dialect.ReOp) else made.imaginary])


class CreateOfParts(RewritePattern):
    """A complex number made of both parts of another is that."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: complex_dialect.CreateOp, rewriter: PatternRewriter) -> None:
        real, imaginary = op.real.owner, op.imaginary.owner
        match real, imaginary:
            case complex_dialect.ReOp(), complex_dialect.ImOp() if real.complex == imaginary.complex:
                rewriter.replace(op, [], [real.complex])
            case _:
                pass


class FoldConversion(RewritePattern):
    """Convert a float constant when the program is compiled."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: arith.TruncFOp | arith.ExtFOp, rewriter: PatternRewriter) -> None:
        constant = op.input.owner
        type_ = op.result.type
        if isinstance(constant, arith.ConstantOp) and isinstance(constant.value, FloatAttr):
            assert isinstance(type_, AnyFloat)
            try:
                folded = FloatAttr(constant.value.value.data, type_)
            except OverflowError:  # rounding to nearest makes it an infinity
                folded = FloatAttr(math.copysign(math.inf, constant.value.value.data), type_)
            rewriter.replace(op, arith.ConstantOp(folded))


_ARITHMETIC: dict[type[Operation], Callable[[float, float], float]] = {
    arith.AddfOp: operator.add,
    arith.SubfOp: operator.sub,
    arith.MulfOp: operator.mul,
}


class FoldOverflow(RewritePattern):
    """Fold a sum or a product of constants; xDSL's own folding fails where the result is an infinity."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: arith.AddfOp | arith.SubfOp | arith.MulfOp, rewriter: PatternRewriter) -> None:
        values = [v.owner.value for v in op.operands if isinstance(v.owner, arith.ConstantOp)]
        numbers = [v.value.data for v in values if isinstance(v, FloatAttr)]
        if len(numbers) < 2 or not isinstance(op.result.type, AnyFloat):
            return
        value = _ARITHMETIC[type(op)](*numbers)
        try:
            folded = FloatAttr(value, op.result.type)
        except OverflowError:
            folded = FloatAttr(math.copysign(math.inf, value), op.result.type)
        rewriter.replace(op, arith.ConstantOp(folded))


@dataclass(frozen=True)
class Canonicalize(ModulePass):
    """Bring a module to its normal form: fold constants, drop what is dead or given twice, undo a split of a join.

    Before:  %a, %b = optim.map over @all (%x = %g : T, %y = %g : T, %z = %p : T) -> (T, T) {
               %0 = arith.mulf %x, %y  optim.yield %0, %0 }
    After:   %a = optim.map over @all (%x = %g : T) -> (T) { %0 = arith.mulf %x, %x  optim.yield %0 }

    Rounding: constants are folded in the precision they would be computed in. Traffic: an operand that is not used is
    no longer read.
    """

    name = "canonicalize"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        PatternRewriteWalker(FoldOverflow()).rewrite_module(op)
        CanonicalizePass().apply(ctx, op)
        patterns: list[RewritePattern] = [
            ForwardIdentity(),
            TidyMap(),
            SplitOfJoin(),
            ReshapeToItself(),
            FoldConversion(),
            PartOfCreate(),
            CreateOfParts(),
        ]
        PatternRewriteWalker(GreedyRewritePatternApplier(patterns)).rewrite_module(op)
        CanonicalizePass().apply(ctx, op)
