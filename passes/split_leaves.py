"""split-leaves: push splits and joins outwards until every op works on leaves that are treated alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects import arith
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass

from optcc.dialect import Combiner, JoinOp, Leaf, LeavesOp, SplitOp, TreeType, leaf_tables
from optcc.dialect.interfaces import LeafSplit, Regroups, SplitsByPart, TakesWholeTrees, ask
from optcc.passes.analysis.functions import functions, refuse_sweeps, return_of

Parts = dict[str, SSAValue]
"""A tree value as its parts, by the symbol of each part's leaf set."""


@dataclass(frozen=True)
class SplitLeaves(ModulePass):
    """Replace every op on a leaf set that is split somewhere by one op for each part.

    Before:  %a = optim.map over @all (%x = %g : tree @all) ...
             %d, %r = optim.split %a : tree @all -> tree @on, tree @off
    After:   %d0, %r0 = optim.split %g : tree @all -> tree @on, tree @off
             %d = optim.map over @on (%x = %d0 : tree @on) ...
             %r = optim.map over @off (%x = %r0 : tree @off) ...

    Splits are left at arguments and after the ops that make whole trees (calls, reshapes, random numbers), joins before
    those that take whole trees and before returns only. The parts are the coarsest that refine all splits. Rounding: a
    sum over a set becomes the sum of the sums over its parts. Traffic: unchanged after fusion; the number of ops grows
    with the number of parts, never with the number of leaves. How it splits each op says by the trait `LeafSplit`.
    Raises VerifyException for an op on trees without it.
    """

    name = "split-leaves"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        atoms = _Atoms(op)
        for function in functions(op):
            if any(inner.has_trait(Regroups, value_if_unregistered=False) for inner in function.body.block.ops):
                refuse_sweeps(function, self.name)
                _Splitter(function, atoms).run()


class _Atoms:
    """The coarsest partition of all leaves that refines every leaf set of a module."""

    def __init__(self, module: ModuleOp) -> None:
        sets = {op.sym_name.data: op for op in leaf_tables(module)}
        membership: dict[Leaf, tuple[str, ...]] = {}
        for name, op in sets.items():
            for leaf in op.leaves:
                membership[leaf] = (*membership.get(leaf, ()), name)
        members: dict[tuple[str, ...], list[Leaf]] = {}
        for leaf, signature in membership.items():
            members.setdefault(signature, []).append(leaf)
        known = {op.leaves: name for name, op in sets.items()}
        symbols: dict[tuple[str, ...], str] = {}
        last = list(sets.values())[-1] if sets else None
        for signature, leaves in members.items():
            table = tuple(leaves)
            if table not in known:
                name = next(n for i in range(len(sets) + len(members)) if (n := f"part{i}") not in sets)
                assert last is not None
                parent = last.parent
                assert parent is not None
                sets[name] = new = LeavesOp(name, table)
                parent.insert_op_after(new, last)
                last, known[table] = new, name
            symbols[signature] = known[table]
        self.of: dict[str, list[str]] = {}
        """The atoms of each leaf set, in the order in which their first leaves come."""
        for name, op in sets.items():
            self.of[name] = list(dict.fromkeys(symbols[membership[leaf]] for leaf in op.leaves if leaf in membership))
            if not op.leaves:
                self.of[name] = [name]


class _Splitter:
    def __init__(self, function: FuncOp, atoms: _Atoms) -> None:
        self.block = function.body.block
        self.function = function
        self.atoms = atoms.of
        self.trees: dict[SSAValue, Parts] = {}
        self.scalars: dict[SSAValue, SSAValue] = {}
        self.replaced: set[Operation] = set()

    def run(self) -> None:
        old = list(self.block.ops)
        for argument in self.block.args:
            if isinstance(argument.type, TreeType):
                self._define(argument, argument, before=old[0])
        terminator = return_of(self.function)
        for op in old:
            if op is not terminator:
                self._rewrite(op)
        terminator.operands = [self._whole(v, terminator) for v in terminator.operands]
        for op in reversed(old):
            if op in self.replaced:
                op.detach()
                op.erase(safe_erase=False)

    def _names(self, type_: TreeType) -> list[str]:
        return self.atoms[type_.leaves.string_value()]

    def _define(self, old: SSAValue, new: SSAValue, before: Operation) -> None:
        """Record the parts of a value that is there as a whole, splitting it if it has several."""
        type_ = old.type
        assert isinstance(type_, TreeType)
        names = self._names(type_)
        if names == [type_.leaves.string_value()]:
            self.trees[old] = {names[0]: new}
            return
        split = SplitOp(new, [type_.with_leaves(name) for name in names])
        self.block.insert_op_before(split, before)
        for result in split.parts:
            result.name_hint = old.name_hint
        self.trees[old] = dict(zip(names, split.parts, strict=True))

    def _whole(self, value: SSAValue, before: Operation) -> SSAValue:
        """The value as a whole, joined from its parts."""
        if value not in self.trees:
            return self.scalars.get(value, value)
        type_ = value.type
        assert isinstance(type_, TreeType)
        parts = self.trees[value]
        first = next(iter(parts.values()))
        if first.type == type_:
            return first
        join = JoinOp([parts[name] for name in self._names(type_)], type_)
        join.whole.name_hint = value.name_hint
        self.block.insert_op_before(join, before)
        return join.whole

    def _rewrite(self, op: Operation) -> None:
        match ask(op, LeafSplit):
            case SplitsByPart() as split:
                self._split(op, split)
            case Regroups():
                self._regroup(op)
            case TakesWholeTrees():
                op.operands = [self._whole(v, op) for v in op.operands]
                after = op.next_op
                assert after is not None
                for result in op.results:
                    if isinstance(result.type, TreeType):
                        self._define(result, result, before=after)
                return
            case _:
                op.operands = [self.scalars.get(v, v) for v in op.operands]
                return
        self.replaced.add(op)

    def _regroup(self, op: Operation) -> None:
        """The parts of the results are those of the operands."""
        parts = {name: value for operand in op.operands for name, value in self.trees[operand].items()}
        for result in op.results:
            assert isinstance(result.type, TreeType)
            self.trees[result] = self._part(parts, result.type, op)

    def _part(self, parts: Parts, type_: TreeType, before: Operation) -> Parts:
        """Those of `parts` that make up a value of a type; one without leaves is split off some part."""
        names = self._names(type_)
        if not set(names) <= set(parts):
            name, value = next(iter(parts.items()))
            split = SplitOp(value, [value.type, type_])
            self.block.insert_op_before(split, before)
            parts[name] = split.parts[0]
            return {names[0]: split.parts[1]}
        return {n: parts[n] for n in names}

    def _split(self, op: Operation, split: SplitsByPart) -> None:
        """Insert the op for each part, and collect or combine their results."""
        names = self.atoms[split.leaves(op)]
        operands = [[self._operand(v, name) for v in op.operands] for name in names]
        clones = [split.part(op, name, values) for name, values in zip(names, operands, strict=True)]
        self.block.insert_ops_before(clones, op)
        for i, (result, kind) in enumerate(zip(op.results, split.combiners(op), strict=True)):
            parts = [clone.results[i] for clone in clones]
            for part in parts:
                part.name_hint = result.name_hint
            if isinstance(result.type, TreeType):
                self.trees[result] = dict(zip(names, parts, strict=True))
            else:
                self.scalars[result] = self._combine(kind, parts, op)

    def _operand(self, value: SSAValue, name: str) -> SSAValue:
        """The part of a tree, or a scalar."""
        return self.trees[value][name] if value in self.trees else self.scalars.get(value, value)

    def _combine(self, kind: Combiner, parts: Sequence[SSAValue], before: Operation) -> SSAValue:
        table = {Combiner.ADD: arith.AddfOp, Combiner.MAX: arith.MaximumfOp, Combiner.MIN: arith.MinimumfOp}
        total = parts[0]
        for part in parts[1:]:
            op = table[kind](total, part)
            self.block.insert_op_before(op, before)
            total = op.result
        return total
