"""The body of a map on one leaf, as the loops that XLA:CPU runs without temporaries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jaxlib.mlir.dialects import stablehlo as hlo
from xdsl.ir import SSAValue

from optcc.lowering.backend import Tensor
from optcc.lowering.stablehlo.bodies import Body
from optcc.lowering.stablehlo.ordering import order_after
from optcc.lowering.stablehlo.reductions import fold
from optcc.lowering.xla_cpu import reductions
from optcc.lowering.xla_cpu.loops import arguments_of, as_one_loop, is_plain_reduction, plan


class LoopsBody(Body):
    """The body of a map over elements, loop by loop: see `optcc.lowering.xla_cpu.loops`."""

    def emit(self, arguments: Sequence[Tensor], overwritten: Sequence[int | None]) -> list[Tensor]:
        op = self.op
        if not self.shape or 0 in self.shape:
            return super().emit(arguments, overwritten)
        out: dict[int, Tensor] = {}
        loops = plan(op, overwritten) if op.over_elements else [as_one_loop(op)]
        for loop in loops:
            used = arguments_of(op, loop)
            values = [arguments[i] for i in used]
            if len(loops) > 1 and values:
                values = list(hlo.OptimizationBarrierOp(values).results)
            for first in loop.after:
                values = order_after(values, out[first])
            env: dict[SSAValue, Tensor] = {op.block.args[i]: v for i, v in zip(used, values, strict=True)}
            env.update({op.yields.arguments[i]: out[i] for i in loop.reads})
            self.run(loop.ops, env)
            stored, reduced = self.by_kind(loop.results)
            self.store(stored, env, out)
            # XLA:CPU does well by itself what has nothing to broadcast.
            plain = is_plain_reduction(op, replace(loop, results=tuple(reduced)))
            self.reduce(reduced, env, out, fold if plain else reductions.fold)
        return [out[i] for i in range(len(op.outputs))]
