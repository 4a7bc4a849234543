"""Emits terms as ops over leaf sets: leaves with the same terms are one leaf set."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from xdsl.ir import Block, SSAValue

from optcc.dialect import Combiner, Extent, JoinOp, ReduceOp, SplitOp, TreeType, element_type
from optcc.dtypes import compute_dtype, type_of
from optcc.formula import scalar_code
from optcc.formula.folds import MixedGroupError
from optcc.formula.values import GroupedLeaves, Scalar, Tree
from optcc.importers.emit_calls import Calls
from optcc.importers.leaf_classes import LeafClass, classes_of
from optcc.importers.primitives import emit_primitive
from optcc.importers.terms import ALL, Kept, Rolled, Term

if TYPE_CHECKING:
    from optcc.formula.builder import Builder

_COMBINERS = {"add": Combiner.ADD, "max": Combiner.MAX, "min": Combiner.MIN, "and": Combiner.MIN, "or": Combiner.MAX}
_LITERALS = {"inf": float("inf"), "-inf": float("-inf"), "nan": float("nan")}


class Emission:
    """Emits the terms of one function into a builder's function."""

    def __init__(
        self,
        b: Builder,
        leaf_set: GroupedLeaves,
        inputs: Mapping[str, Tree | Scalar],
        rolled: Rolled,
        extents: Mapping[str, str],
        calls: Calls,
        *,
        hypers: bool,
    ) -> None:
        """`extents` has that of each output that is a tree; with `hypers` numbers are hyperparameters."""
        self.b = b
        self.operands = inputs
        self.inputs = dict(inputs)
        """What the terms of inputs stand for: also what calls give."""
        self.calls = calls
        self.rolled = rolled
        self.extents = extents
        self.hypers = hypers
        self.leaf_set = leaf_set
        self.classes = classes_of(b, leaf_set, rolled)
        self._class_of = {leaf: c for c in self.classes for leaf in c.members}
        self._parts: dict[tuple[str, int], dict[LeafClass, SSAValue]] = {}
        self._values: dict[tuple[int, LeafClass | None], SSAValue] = {}

    def emit(self) -> dict[str, Tree | Scalar]:
        """The outputs by name, and what calls take. Raises NotImportedError, and MixedGroupError as a join does."""
        needed = self._needed()
        made: dict[str, Tree | Scalar] = {}
        stages: dict[int, list[Term]] = {0: []}
        for term in self.rolled.terms:
            stages.setdefault(self.rolled.stages.get(term.number, 0), []).append(term)
        parts = {part.stage: part for part in self.rolled.parts}
        for stage in sorted(stages.keys() | parts.keys()):
            if stage in parts:
                part = parts[stage]
                made |= {name: self._output(name) for name in (*part.taken, *part.numbers_taken)}
                self.inputs |= self.calls.emit(part, made, self.operands)
            for term in stages.get(stage, ()):
                for c in needed.get(term.number, ()):
                    self._values[term.number, c] = self._step(term) if c is None else self._lane(term, c)
        names = *self.rolled.trees, *self.rolled.scalars
        return made | {name: self._output(name) for name in names if name not in made}

    def _output(self, name: str) -> Tree | Scalar:
        if name in self.rolled.scalars:
            return self._scalar(self.rolled.scalars[name])
        return self._tree(self.rolled.trees[name], self.extents.get(name, Extent.ELEMENTS))

    def _needed(self) -> dict[int, dict[LeafClass | None, None]]:
        """For each term the classes whose values are used, None for that of the step."""
        needed: dict[int, dict[LeafClass | None, None]] = {}

        def need(term: Term, classes: Iterable[LeafClass | None]) -> None:
            needed.setdefault(term.number, {}).update(dict.fromkeys([None] if term.kept is None else classes))

        for terms in self.rolled.trees.values():
            for leaf, term in terms.items():
                need(term, [self._class_of[leaf]])
        for term in self.rolled.scalars.values():
            need(term, [None])
        for term in reversed(self.rolled.terms):
            if term.number not in needed:
                continue
            if term.op == "fold":
                for leaf, item in zip(term.parameter[1], term.operands, strict=True):
                    inner = self._direct(term, item)
                    need(inner, [None if leaf is None else self._class_of[leaf]])
                continue
            for i, operand in enumerate(term.operands):
                if not self._is_constant(term, i):
                    need(operand, needed[term.number])
        return needed

    # Numbers of the step

    def _step(self, term: Term) -> SSAValue:
        block, type_ = self.b.block, type_of(compute_dtype(term.dtype))
        if term.op == "literal":
            return self._number(term)
        if term.op == "input":
            scalar = self.inputs[term.parameter]
            assert isinstance(scalar, Scalar)
            return self.b.scalar_as(scalar, type_)
        if term.op == "fold":
            return self._fold(term)
        args = [
            _literal(block, t) if self._is_constant(term, i) else self._values[t.number, None]
            for i, t in enumerate(term.operands)
        ]
        return emit_primitive(block, term.op, term.parameter, args, term.dtype)

    def _number(self, term: Term) -> SSAValue:
        """A literal: a hyperparameter, or a constant."""
        if not self._is_hyper(term):
            return _literal(self.b.block, term)
        # The shortest number that rounds to it: the one that was written.
        value = float(str(np.float32(term.parameter)) if term.dtype == np.float32 else term.parameter)
        use = self.rolled.first_use.get(term.number)
        rounded = self.b.scalar_as(self.b.literal(value, use.source if use else ""), type_of(term.dtype))
        return scalar_code.cast(self.b.block, rounded, type_of(compute_dtype(term.dtype)))

    def _is_hyper(self, term: Term) -> bool:
        """Whether a literal is a hyperparameter: whole numbers, infinities and NaN are part of the program."""
        if not self.hypers or not jnp.issubdtype(term.dtype, jnp.floating) or term.parameter in _LITERALS:
            return False
        return not float(term.parameter).is_integer()

    def _is_constant(self, term: Term, i: int) -> bool:
        """Whether an operand is a constant where it is used. So are exponents: XLA has faster code for some."""
        operand = term.operands[i]
        return operand.op == "literal" and not (self._is_hyper(operand) and (term.op, i) != ("pow", 1))

    @staticmethod
    def _direct(fold: Term, item: Term) -> Term:
        """What is folded over a set at once: the elements, if the item is the same fold of them."""
        same = item.op == "reduce" and item.parameter == fold.parameter[0] and item.dtype == item.operands[0].dtype
        return item.operands[0] if same and item.kept == () else item

    def _fold(self, fold: Term) -> SSAValue:
        kind, leaves = fold.parameter
        combiner, logical = _COMBINERS[kind], kind in ("and", "or")
        # All leaves of a class are taken in equally often.
        times: Counter[tuple[int, int | None]] = Counter()
        seen: set[tuple[int, LeafClass | None, int]] = set()
        values: list[SSAValue] = []
        for leaf, item in zip(leaves, fold.operands, strict=True):
            inner = self._direct(fold, item)
            c = None if leaf is None else self._class_of[leaf]
            group = inner.number, c, times[inner.number, leaf]
            times[inner.number, leaf] += 1
            if leaf is None or group not in seen:
                value = self._values[inner.number, c if inner.kept is not None else None]
                values.append(value if c is None else self._over_leaves(value, combiner, logical))
            seen.add(group)
        block = self.b.block
        total = values[0]
        for value in values[1:]:
            total = scalar_code.binary(block, kind, total, value)
        return total

    def _over_leaves(self, value: SSAValue, combiner: Combiner, logical: bool) -> SSAValue:
        """Fold a tree into a number; bools as floats, of which the dialect has folds."""
        b = self.b
        if logical:
            value = self._convert(value, np.float32)
        number = b.add(ReduceOp(combiner, value, element_type(value.type))).results[0]
        if not logical:
            return number
        return scalar_code.compare(b.block, "gt", number, scalar_code.constant(b.block, 0.0, number.type))

    # Lanes

    def _lane(self, term: Term, c: LeafClass) -> SSAValue:
        if term.op == "input":
            return self._part(term.parameter, c)
        if term.op == "reduce":
            return self._reduce(term, c)
        constant = [self._is_constant(term, i) for i in range(len(term.operands))]
        operands = [t for t, fixed in zip(term.operands, constant, strict=True) if not fixed]
        args = [self._values[t.number, None if t.kept is None else c] for t in operands]

        def body(block: Block, *given: SSAValue) -> SSAValue:
            rest = iter(given)
            scalars = [
                _literal(block, t) if fixed else next(rest) for t, fixed in zip(term.operands, constant, strict=True)
            ]
            return emit_primitive(block, term.op, term.parameter, scalars, term.dtype)

        element = type_of(compute_dtype(term.dtype))
        return self.b.map_leaves(c.symbol, args, body, element, extent=self._extent(term.kept, c))

    def _extent(self, kept: Kept, c: LeafClass) -> str:
        if kept == ALL:
            return Extent.ELEMENTS
        if not kept:
            return Extent.PER_LEAF
        alone = GroupedLeaves(self.leaf_set.root, None, {0: c.symbol}, {0: c.members})
        return self.b.axes("axes_" + "_".join(map(str, kept)), alone, lambda _: list(kept))  # type: ignore[arg-type]

    def _part(self, name: str, c: LeafClass) -> SSAValue:
        tree = self.inputs[name]
        assert isinstance(tree, Tree)
        k, value = c.group, tree.parts[c.group]
        members = tree.leaf_set.members[k]
        if members == c.members:
            return value
        if (name, k) not in self._parts:
            inside = set(members)
            sides = [one for one in self.classes if one.group == k and inside.issuperset(one.members)]
            assert isinstance(value.type, TreeType)
            op = self.b.add(SplitOp(value, [value.type.with_leaves(one.symbol) for one in sides]))
            self._parts[name, k] = dict(zip(sides, op.results, strict=True))
        return self._parts[name, k][c]

    def _reduce(self, term: Term, c: LeafClass) -> SSAValue:
        value = self._values[term.operands[0].number, c]
        logical = term.parameter in ("and", "or")
        if logical:
            value = self._convert(value, np.float32)
        assert isinstance(value.type, TreeType)
        type_ = value.type.with_extent(self._extent(term.kept, c))
        number = self.b.add(ReduceOp(_COMBINERS[term.parameter], value, type_)).results[0]
        return self._convert(number, np.bool_) if logical else number

    def _convert(self, value: SSAValue, dtype: type[np.generic]) -> SSAValue:
        """A tree of bools as floats, or back: what is above 0."""
        assert isinstance(value.type, TreeType)

        def body(block: Block, x: SSAValue) -> SSAValue:
            if dtype is np.bool_:
                return scalar_code.compare(block, "gt", x, scalar_code.constant(block, 0.0, x.type))
            return scalar_code.cast(block, x, type_of(dtype))

        return self.b.map_leaves(value.type.leaves, [value], body, type_of(dtype), extent=value.type.extent.data)

    # Outputs

    def _scalar(self, term: Term) -> Scalar:
        value = self._values[term.number, None]
        return Scalar(self.b, scalar_code.cast(self.b.block, value, type_of(term.dtype)), term.dtype, weak=False)

    def _tree(self, terms: Mapping[int, Term], extent: str) -> Tree:
        """The outputs of some leaves, whole."""
        parts: dict[int, SSAValue] = {}
        dtypes: dict[int, Any] = {}
        groups: dict[int, str] = {}
        members: dict[int, tuple[int, ...]] = {}
        for k, symbol in self.leaf_set.groups.items():
            chosen = [c for c in self.classes if c.group == k and c.members[0] in terms]
            if not chosen:
                continue
            first = np.dtype(terms[chosen[0].members[0]].dtype)
            other = [i for c in chosen for i in c.members if np.dtype(terms[i].dtype) != first]
            if other:
                raise MixedGroupError(frozenset(other))
            values = [self._whole(terms[c.members[0]], c, extent) for c in chosen]
            inside = set(terms)
            members[k] = tuple(i for i in self.leaf_set.members[k] if i in inside)
            groups[k] = symbol if members[k] == self.leaf_set.members[k] else self._subset(k, members[k])
            parts[k], dtypes[k] = self._join(values, groups[k]), first
        leaf_set = self.leaf_set
        if groups != leaf_set.groups:
            leaf_set = GroupedLeaves(leaf_set.root, leaf_set.structure, groups, members)
        return Tree(self.b, leaf_set, parts, dtypes, extent=extent)

    def _subset(self, k: int, members: Sequence[int]) -> str:
        symbol = self.leaf_set.groups[k]
        leaves = dict(zip(self.leaf_set.members[k], self.b.leaf_sets.leaves(symbol), strict=True))
        return self.b.leaf_sets.define(f"{symbol}_on", tuple(leaves[i] for i in members))

    def _join(self, values: Sequence[SSAValue], symbol: str) -> SSAValue:
        if len(values) == 1:
            return values[0]
        type_ = values[0].type
        assert isinstance(type_, TreeType)
        return self.b.add(JoinOp(values, type_.with_leaves(symbol))).results[0]

    def _whole(self, term: Term, c: LeafClass, extent: str) -> SSAValue:
        """A term in the extent of an output: what has less is spread, and the one element of a leaf is its number."""
        value = self._values[term.number, None if term.kept is None else c]
        if extent == (Extent.ELEMENTS if term.kept == ALL else Extent.PER_LEAF if term.kept == () else None):
            return value
        if term.kept == ALL:
            assert isinstance(value.type, TreeType)
            return self.b.add(ReduceOp(Combiner.MAX, value, value.type.with_extent(extent))).results[0]
        return self.b.map_leaves(c.symbol, [value], lambda _, x: x, element_type(value.type), extent=extent)


def _literal(block: Block, term: Term) -> SSAValue:
    text = term.parameter
    value = _LITERALS[text] if text in _LITERALS else ast.literal_eval(text)
    if jnp.issubdtype(term.dtype, jnp.floating):
        value = float(value)
    return scalar_code.constant(block, value, type_of(compute_dtype(term.dtype)))
