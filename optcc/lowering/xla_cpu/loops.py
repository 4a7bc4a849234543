"""How XLA:CPU runs a map: one kernel for each array that is stored, and one for the folds over each set of axes.

Folds to a scalar and per leaf, which are over all axes, are one kernel together; those of one axis extent are another.

XLA:CPU makes a loop of its own for every output, so a map with several stores reads its inputs several times, and two
things go wrong if nothing is done about it (figures in docs/decisions/0003):

* A value that several kernels need is computed once and kept in memory if it is dear, a division for instance: Optax's
  clip + adamw keeps all clipped gradients. Hence every kernel computes what it needs by itself, from operands behind an
  `optimization_barrier`, which common-subexpression elimination does not look through. It reads from another only what
  that one stores unrounded and XLA would not compute again.
* A kernel that overwrites a slot and another that reads the slot's old value are not ordered by data, and copy
  insertion then keeps a copy of the slot: Optax's lion copies its whole state. Hence an order is chosen, and where
  data does not impose it, a dependence is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects import arith
from xdsl.ir import BlockArgument, Operation, SSAValue

from optcc.dialect import Combiner, MapOp, TreeType
from optcc.passes.analysis.functions import slice_of


@dataclass(frozen=True)
class XlaLoop:
    """One stored result, or folds over the same axes: the ops of the body it runs, and the stored results it reads.

    `after` are results whose kernels must come first although no data says so.
    """

    results: tuple[int, ...]
    ops: tuple[Operation, ...]
    reads: tuple[int, ...]
    after: tuple[int, ...] = ()


def plan(op: MapOp, overwritten: Sequence[int | None]) -> list[XlaLoop]:
    """The kernels of a map, in an order that needs no copy if there is one.

    `overwritten[i]` is the operand whose array result i overwrites, None if it has an array of its own. A kernel reads
    a stored result of another, in place of computing it, where the value stored is the value it needs.
    """
    stored = [i for i, kind in enumerate(op.kinds) if kind is Combiner.NONE]
    # Folds over the same axes share a kernel.
    reduced: dict[str, list[int]] = {}
    for i, (kind, type_) in enumerate(zip(op.kinds, op.result_types, strict=True)):
        if kind is not Combiner.NONE:
            axes = type_.extent.data if isinstance(type_, TreeType) and type_.has_axes else ""
            reduced.setdefault(axes, []).append(i)
    work = [(i,) for i in stored] + [tuple(group) for group in reduced.values()]
    kernels = [_kernel(op, results, stored, overwritten) for results in work]
    return _ordered(op, kernels, overwritten)


def as_one_loop(op: MapOp) -> XlaLoop:
    """All results of a map in one loop."""
    ops = tuple(inner for inner in op.block.ops if inner is not op.yields)
    return XlaLoop(tuple(range(len(op.outputs))), ops, ())


def _kernel(op: MapOp, results: tuple[int, ...], stored: list[int], overwritten: Sequence[int | None]) -> XlaLoop:
    roots = [op.yields.arguments[i] for i in results]
    sources = [i for i in stored if i not in results and _is_kept_apart(op, op.yields.arguments[i])]
    while True:
        stop: dict[SSAValue, int | None] = dict.fromkeys(op.block.args)
        for i in sources:
            stop.setdefault(op.yields.arguments[i], i)
        ops = slice_of(roots, stop, op.block)
        used = {v for inner in ops for v in inner.operands} | set(roots)
        reads = [i for v, i in stop.items() if i is not None and v in used]
        # Reading the new value of a slot as well as its old one would need both at once.
        clash = [i for i in reads if overwritten[i] is not None and op.block.args[overwritten[i] or 0] in used]
        if not clash:
            return XlaLoop(results, tuple(ops), tuple(reads))
        sources = [i for i in sources if i not in clash]


def _is_kept_apart(op: MapOp, value: SSAValue) -> bool:
    """Whether XLA leaves a stored value to the kernel that makes it.

    It computes it again in every kernel that reads it if its last op has one operand that varies by element, such as
    `nu + eps`; the reader then reads what that kernel read, and what it overwrites.
    """
    owner = value.owner
    return isinstance(owner, Operation) and sum(_varies(op, v) for v in set(owner.operands)) > 1


def _varies(op: MapOp, value: SSAValue) -> bool:
    """Whether a value of the body differs from element to element."""
    if isinstance(value, BlockArgument):
        type_ = op.operand_types[value.index]
        return isinstance(type_, TreeType) and not type_.is_per_leaf
    assert isinstance(value.owner, Operation)
    return any(_varies(op, v) for v in value.owner.operands)


def arguments_of(op: MapOp, kernel: XlaLoop) -> list[int]:
    """The operands of the map that a kernel reads."""
    used = {v for inner in kernel.ops for v in inner.operands} | {op.yields.arguments[i] for i in kernel.results}
    return [i for i, argument in enumerate(op.block.args) if argument in used]


def _ordered(op: MapOp, kernels: list[XlaLoop], overwritten: Sequence[int | None]) -> list[XlaLoop]:
    """Put kernels behind those whose results they read, and behind those that read what they overwrite."""
    maker = {i: k for k, kernel in enumerate(kernels) for i in kernel.results}
    data = {k: {maker[i] for i in kernel.reads} for k, kernel in enumerate(kernels)}
    order = {k: set(before) for k, before in data.items()}
    readers = [set(arguments_of(op, kernel)) for kernel in kernels]
    for k, kernel in enumerate(kernels):
        for i in kernel.results:
            if (slot := overwritten[i]) is not None:
                order[k] |= {j for j, read in enumerate(readers) if j != k and slot in read}
    done: list[int] = []
    while len(done) < len(kernels):
        free = [k for k in order if k not in done and order[k] <= set(done)]
        # Two kernels that each read what the other overwrites: XLA will copy one, whatever the order.
        done.append(free[0] if free else next(k for k in order if k not in done and data[k] <= set(done)))
    reached: dict[int, set[int]] = {}
    for k in done:
        reached[k] = data[k].union(*(reached[j] for j in data[k]))
    return [
        XlaLoop(
            kernels[k].results,
            kernels[k].ops,
            kernels[k].reads,
            tuple(kernels[j].results[0] for j in sorted(order[k] - reached[k]) if done.index(j) < done.index(k)),
        )
        for k in done
    ]


def is_plain_reduction(op: MapOp, kernel: XlaLoop) -> bool:
    """Whether a reduction reads arrays only: no scalar, per-leaf value or constant, so nothing to broadcast."""
    scalars = [i for i in arguments_of(op, kernel) if not _is_elementwise(op, i)]
    return not scalars and not any(isinstance(inner, arith.ConstantOp) for inner in kernel.ops)


def _is_elementwise(op: MapOp, index: int) -> bool:
    type_ = op.operand_types[index]
    return isinstance(type_, TreeType) and type_.has_elements
