"""Which values of two modules correspond: the base of a comparison up to the names of values."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Attribute, Block, BlockArgument, Operation, OpResult, SSAValue
from xdsl.traits import IsolatedFromAbove

MAX_TABLE = 250_000
"""Pairs of ops of a gap that are weighed one by one; a larger gap is aligned by the names and types of its ops."""

Pairs = list[tuple[Operation, Operation]]


def match_values(old: ModuleOp, new: ModuleOp) -> dict[SSAValue, SSAValue]:
    """The value of `new` for values of `old`, one for each at most.

    Block by block, ops are aligned in order, so that ops which compute the same correspond, and most others which have
    a name and most operands in common. Modules that are equal but for the names of values correspond in every value.
    """
    matcher = _Matcher(_keys(old) | _keys(new))
    matcher.block(old.body.block, new.body.block)
    functions = {op.properties.get("sym_name"): op for op in new.ops}
    for function in old.ops:
        other = functions.get(function.properties.get("sym_name"))
        if other is not None:
            matcher.moved(function, other)
    return matcher.values


def _keys(module: ModuleOp) -> dict[SSAValue | Operation, int]:
    """A number for each value and op that is the same for what is computed alike from the same arguments."""
    keys: dict[SSAValue | Operation, int] = {}

    def visit(op: Operation) -> None:
        operands = tuple(keys.get(v, 0) for v in op.operands)
        for region in op.regions:
            for block in region.blocks:
                bound = bound_operands(op, block)
                for argument in block.args:
                    if bound and bound[argument.index].type == argument.type:
                        keys[argument] = keys.get(bound[argument.index], 0)
                        continue
                    role = keys.get(bound[argument.index], 0) if bound else _role(op, argument)
                    keys[argument] = hash(("argument", role, argument.type))
                for inner in block.ops:
                    visit(inner)
        inside = tuple(keys[inner] for region in op.regions for block in region.blocks for inner in block.ops)
        keys[op] = hash((op.name, _attributes(op), operands, tuple(op.result_types), inside))
        for result in op.results:
            keys[result] = hash((keys[op], result.index))

    visit(module)
    return keys


def bound_operands(op: Operation, block: Block) -> Sequence[SSAValue]:
    """The operands that the arguments of an op's block stand for, as those of a map's body do; none if they do not."""
    isolated = op.has_trait(IsolatedFromAbove, value_if_unregistered=False)
    return op.operands if isolated and len(op.operands) == len(block.args) else ()


def _role(op: Operation, argument: BlockArgument) -> object:
    """What an argument of a function is: its attributes, or its place where they do not tell it apart."""
    attributes = op.properties.get("arg_attrs")
    roles = list(getattr(attributes, "data", ()))
    if argument.index < len(roles) and roles.count(roles[argument.index]) == 1:
        return roles[argument.index]
    return argument.index


def _attributes(op: Operation) -> frozenset[tuple[str, Attribute]]:
    return frozenset((*op.properties.items(), *op.attributes.items()))


class _Matcher:
    def __init__(self, keys: dict[SSAValue | Operation, int]) -> None:
        self.keys = keys
        self.values: dict[SSAValue, SSAValue] = {}
        self.taken: set[SSAValue] = set()
        self.paired: set[Operation] = set()

    def pair(self, old: SSAValue, new: SSAValue) -> None:
        """Let two values correspond, if neither has another."""
        if old not in self.values and new not in self.taken:
            self.values[old] = new
            self.taken.add(new)

    def block(self, old: Block, new: Block) -> None:
        """Let the ops of two blocks correspond, and what is in them."""
        ops = list(old.ops), list(new.ops)
        pairs = self._align(*ops, {})
        # Now that it is known which values correspond, operands say more.
        pairs = self._align(*ops, {r: s for a, b in pairs for r, s in zip(a.results, b.results, strict=False)})
        for a, b in pairs:
            self._op(a, b)

    def _op(self, old: Operation, new: Operation) -> None:
        if old in self.paired or new in self.paired:
            return
        self.paired |= {old, new}
        for a, b in zip(old.regions, new.regions, strict=False):
            for c, d in zip(a.blocks, b.blocks, strict=False):
                self._arguments(old, new, c, d)
                self.block(c, d)
        yielded = _yielded(old), _yielded(new)
        for i, a in enumerate(yielded[0]):
            for j, b in enumerate(yielded[1]):
                if self.values.get(a) is b:
                    self.pair(old.results[i], new.results[j])
        for a, b in zip(old.results, new.results, strict=False):
            if a.type == b.type:
                self.pair(a, b)

    def _arguments(self, old: Operation, new: Operation, a: Block, b: Block) -> None:
        bound = bound_operands(old, a), bound_operands(new, b)
        for x in a.args:
            for y in b.args:
                if bound[0] and bound[1]:
                    same = self._is_same(bound[0][x.index], bound[1][y.index])
                else:
                    same = self.keys[x] == self.keys[y]
                if same:
                    self.pair(x, y)
        if len(a.args) == len(b.args):
            for x, y in zip(a.args, b.args, strict=True):
                if x.type == y.type:
                    self.pair(x, y)

    def _is_same(self, old: SSAValue, new: SSAValue) -> bool:
        if old in self.values or new in self.taken:
            return self.values.get(old) is new
        return self.keys[old] == self.keys[new]

    def moved(self, old: Operation, new: Operation) -> None:
        """Let ops of two functions correspond that went into another block, such as that of an op around them."""
        for with_regions in (True, False):
            a_left, b_left = (
                [op for op in function.walk() if op not in self.paired and bool(op.regions) is with_regions]
                for function in (old, new)
            )
            for a, b in self._align(a_left, b_left, {}):
                if with_regions or self.keys[a] == self.keys[b]:
                    self._op(a, b)

    # Alignment

    def _align(self, old: Sequence[Operation], new: Sequence[Operation], guessed: dict[OpResult, OpResult]) -> Pairs:
        """Ops that correspond, in order: those that compute the same and occur once, and between them the likeliest."""
        pairs: Pairs = []
        i = j = 0
        for a, b in [*self._anchors(old, new), (len(old), len(new))]:
            pairs += self._gap(old[i:a], new[j:b], guessed)
            if a < len(old):
                pairs.append((old[a], new[b]))
            i, j = a + 1, b + 1
        return pairs

    def _anchors(self, old: Sequence[Operation], new: Sequence[Operation]) -> list[tuple[int, int]]:
        """The longest rising sequence of places of ops with a key that each side has once."""
        counts = Counter(self.keys[op] for op in old), Counter(self.keys[op] for op in new)
        place = {self.keys[op]: j for j, op in enumerate(new)}
        candidates = [
            (i, place[key]) for i, op in enumerate(old) if counts[0][key := self.keys[op]] == counts[1][key] == 1
        ]
        return _rising(candidates)

    def _gap(self, old: Sequence[Operation], new: Sequence[Operation], guessed: dict[OpResult, OpResult]) -> Pairs:
        if not old or not new:
            return []
        if len(old) * len(new) > MAX_TABLE:
            kinds = [[(op.name, *op.result_types) for op in ops] for ops in (old, new)]
            blocks = SequenceMatcher(None, *kinds, autojunk=False).get_matching_blocks()
            return [(old[a + k], new[b + k]) for a, b, size in blocks for k in range(size)]
        alike = {r: self.keys[s] for r, s in guessed.items()}

        def identity(value: SSAValue) -> object:
            value = self.values.get(value, value)
            return value if value in self.taken else alike.get(value, self.keys[value])  # type: ignore[arg-type]

        features = {op: (Counter(map(identity, op.operands)), _inside(op)) for op in (*old, *new)}

        def score(a: Operation, b: Operation) -> float:
            if a.name != b.name or a.properties.get("sym_name") != b.properties.get("sym_name"):
                return 0.0
            operands, inside = (_overlap(x, y) for x, y in zip(features[a], features[b], strict=True))
            same = (_attributes(a) == _attributes(b)) + (a.result_types == b.result_types)
            return 1 + 2 * operands + inside + same / 2 + 2 * (self.keys[a] == self.keys[b])

        return [(old[i], new[j]) for i, j in _best_alignment(len(old), len(new), lambda i, j: score(old[i], new[j]))]


def _yielded(op: Operation) -> Sequence[SSAValue]:
    """The values inside an op that its results stand for; none if there is not one for each."""
    if len(op.regions) != 1 or len(op.regions[0].blocks) != 1:
        return ()
    last = op.regions[0].block.last_op
    return last.operands if last is not None and len(last.operands) == len(op.results) else ()


def _inside(op: Operation) -> Counter[object]:
    """The kinds of ops in an op."""
    names: Counter[object] = Counter()
    names.update(inner.name for inner in op.walk() if inner is not op)
    return names


def _overlap(a: Counter[object], b: Counter[object]) -> float:
    """The share that two collections have in common; 1 if both are empty."""
    total = max(a.total(), b.total())
    return (a & b).total() / total if total else 1.0


def _rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """A longest subsequence in which the second number rises, as the first does."""
    tails: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for k, (_, j) in enumerate(pairs):
        at = bisect_left(tails, j)
        before.append(ends[at - 1] if at else -1)
        tails[at : at + 1], ends[at : at + 1] = [j], [k]
    found: list[tuple[int, int]] = []
    k = ends[-1] if ends else -1
    while k >= 0:
        found.append(pairs[k])
        k = before[k]
    return found[::-1]


def _best_alignment(n: int, m: int, score: Callable[[int, int], float]) -> list[tuple[int, int]]:
    """The pairs, rising in both numbers, with the greatest sum of scores; a score of 0 is no pair."""
    scores = [[score(i, j) for j in range(m)] for i in range(n)]
    best = [[0.0] * (m + 1) for _ in range(n + 1)]
    for i in reversed(range(n)):
        for j in reversed(range(m)):
            taken = scores[i][j] + best[i + 1][j + 1] if scores[i][j] else 0.0
            best[i][j] = max(taken, best[i + 1][j], best[i][j + 1])
    pairs: list[tuple[int, int]] = []
    i = j = 0
    while i < n and j < m:
        if scores[i][j] and best[i][j] == scores[i][j] + best[i + 1][j + 1]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs
