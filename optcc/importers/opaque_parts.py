"""Parts of a function that the IR has no counterpart for: calls between its levels, on the arrays that they take.

An equation without counterpart is called. What it gives is *cut*: it enters the IR again as an input would, in the lane
of its leaf or as a number of the step, and what is computed from it is imported. An array in no such place stays inside
the call, with the equations that take it. A call is of a stage: it needs nothing of calls of its own stage or later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np

from optcc.importers.axes import is_whole
from optcc.importers.flat_jaxprs import Array, Atom, Equation, FlatJaxpr, Literal
from optcc.importers.primitives import NotImportedError
from optcc.importers.terms import ALL, Any_, Chain, LeafShapes, Stack, Term, Terms, Unknown, Value

MOST_NUMBERS = 64
"""How many numbers the calls of a function may give."""
MOST_REASONS = 4

Tree = dict[int, tuple[Array, Term]]
"""An array and its term for each leaf."""


@dataclass(frozen=True, eq=False)
class Cut:
    """An array that a call gives, and the input of the IR that stands for it; of no leaf if it is a number."""

    array: Array
    value: Value
    stage: int

    @property
    def name(self) -> str:
        """The name of the input."""
        return self.value.term.parameter


@dataclass(eq=False)
class Part:
    """One call: what it takes and gives, by the names of the values of the builder, and the equations inside.

    `taken` and `given` are trees, `numbers_taken` and `numbers_given` numbers. `arrays` are operands of the function
    that belong to no leaf, `left` the arrays of the results that do not.
    """

    stage: int
    equations: list[Equation] = field(default_factory=list)
    taken: dict[str, Tree] = field(default_factory=dict)
    numbers_taken: dict[str, tuple[Array, Term]] = field(default_factory=dict)
    arrays: list[Array] = field(default_factory=list)
    given: dict[str, Tree] = field(default_factory=dict)
    numbers_given: dict[str, tuple[Array, Term]] = field(default_factory=dict)
    left: list[Atom] = field(default_factory=list)

    @property
    def checked(self) -> list[tuple[Atom, tuple[str, int | None]]]:
        """The arrays that are taken, with the names of the values for them, and their leaves."""
        trees = [(array, (name, leaf)) for name, tree in self.taken.items() for leaf, (array, _) in tree.items()]
        return [*trees, *((array, (name, None)) for name, (array, _) in self.numbers_taken.items())]

    def evaluate(self, arrays: Mapping[int, Any]) -> Callable[[Atom], Any]:
        """Run the equations on arrays by their numbers; what reads any array then."""
        env = dict(arrays)

        def read(atom: Atom) -> Any:
            return np.full(atom.shape, atom.value, atom.dtype) if isinstance(atom, Literal) else env[atom.number]

        for equation in self.equations:
            results = equation.bind(*map(read, equation.inputs))
            env.update(zip((out.number for out in equation.outputs), results, strict=True))
        return read


class Cuts:
    """The calls of a function while it is re-rolled."""

    def __init__(self, leaf_shapes: LeafShapes, terms: Terms) -> None:
        self.leaf_shapes = leaf_shapes
        self.terms = terms
        self.made: dict[int, Cut] = {}
        self.reasons: dict[tuple[str, str], str] = {}
        self._stages: dict[int, int] = {}
        """The stage of each array that is computed in calls."""
        self._leaves: dict[int, frozenset[int]] = {}
        """The leaves that each of these depends on."""
        self._of_terms: list[int] = []
        self._of_names: dict[str, int] = {}
        self._counts: Counter[Any] = Counter()

    def stage(self, value: Any_) -> int:
        """The last call that a value needs, 0 for none."""
        match value:
            case Value():
                return self.stage_of_term(value.term)
            case Chain():
                return max(self.stage_of_term(item.term) for item in value.items())
            case Stack():
                return max(self.stage_of_term(item.term) for item in value.items)
            case _:
                return 0

    def stage_of_term(self, term: Term) -> int:
        """The last call that a term needs, 0 for none."""
        stages = self._of_terms
        for made in self.terms.made[len(stages) :]:
            below = max((stages[t.number] for t in made.operands), default=0)
            stages.append(self._of_names.get(made.parameter, 0) if made.op == "input" else below)
        return stages[term.number]

    def inside(self, equation: Equation, values: Sequence[Any_], why: str | None) -> list[Any_]:
        """The results of an equation that is called, for a reason of its own if there is `why`."""
        if why is not None:
            self.reasons.setdefault((equation.primitive, equation.source), f"{equation}: {why}")
        stage, leaves = 1, frozenset[int]()
        for atom, value in zip(equation.inputs, values, strict=True):
            if isinstance(atom, Array):
                known = self._stages.get(atom.number)
                if known is None and isinstance(value, Unknown):
                    self.reasons.setdefault(("", value.why), f"{equation}: {value.why}")
                stage = max(stage, self.stage(value) + 1 if known is None else known)
                leaves |= self._leaves.get(atom.number) or _leaves_of(value)
        inherited = next((value.why for value in values if isinstance(value, Unknown)), "")
        unknown = Unknown(inherited if why is None else f"{equation}: {why}")
        results: list[Any_] = []
        for out in equation.outputs:
            self._stages[out.number], self._leaves[out.number] = stage, leaves
            one = next(iter(leaves)) if len(leaves) == 1 else None
            # A number of one leaf is none of the step: there would be one for each leaf.
            results.append(self.cut(out, one) or unknown)
        return results

    def cut(self, array: Array, leaf: int | None) -> Value | None:
        """An array of a call as a value of the lane of a leaf, or of the step; None if it is in no such place."""
        if array.number in self.made:
            return None
        if leaf is None:
            fits = array.shape == () and is_number(array.dtype) and self._counts["numbers"] < MOST_NUMBERS
        else:
            fits = array.shape == self.leaf_shapes[leaf] and jnp.issubdtype(array.dtype, jnp.floating)
        if not fits:
            return None
        stage = self._stages.get(array.number)
        if stage is None:
            text = f"an array that is no leaf's, {array.dtype}{list(array.shape)}"
            self.reasons.setdefault(("", text), text)
            stage = self._stages[array.number] = 1
        key = "numbers" if leaf is None else (stage, array.dtype, leaf)
        name = f"given {stage} {array.dtype.name if leaf is not None else 'number'} {self._counts[key]}"
        self._counts[key] += 1
        self._of_names[name] = stage
        term = self.terms("input", name, (), array.dtype, None if leaf is None else ALL)
        value = Value(term, leaf, tuple(range(len(array.shape))))
        self.made[array.number] = Cut(array, value, stage)
        return value

    def stage_of(self, atom: Atom, value: Any_) -> int:
        """The stage of a call that gives an array which may be a value of the IR."""
        known = self._stages.get(atom.number) if isinstance(atom, Array) else None
        return self.stage(value) + 1 if known is None else known

    @property
    def why(self) -> str:
        """All reasons, each with its equation and source line."""
        reasons = list(self.reasons.values())
        more = [f"and {len(reasons) - MOST_REASONS} more"] if len(reasons) > MOST_REASONS else []
        return "; ".join(reasons[:MOST_REASONS] + more)


def is_number(dtype: Any) -> bool:
    """Whether a number of the step may have a dtype."""
    return dtype == np.bool_ or dtype == np.int32 or bool(jnp.issubdtype(dtype, jnp.floating))


def _leaves_of(value: Any_) -> frozenset[int]:
    match value:
        case Value():
            return frozenset() if value.leaf is None else frozenset([value.leaf])
        case Stack():
            return frozenset(item.leaf for item in value.items if item.leaf is not None)
        case _:
            return frozenset()


class Slicer:
    """Finds what a call takes: from what it gives back to values that the IR has in memory, or as numbers."""

    def __init__(self, cuts: Cuts, flat: FlatJaxpr, env: Mapping[int, Any_], number: Callable[[Any_], Term]) -> None:
        """`env` has the values of arrays, `number` makes a term of the step of one."""
        self.cuts = cuts
        self.flat = flat
        self.env = env
        self.number = number
        self._position = {out.number: i for i, eqn in enumerate(flat.equations) for out in eqn.outputs}

    def part(self, stage: int, cuts: Sequence[Cut], left: Sequence[Atom]) -> Part:
        """The call of a stage. Raises NotImportedError if it takes what the IR cannot give."""
        part = Part(stage, left=list(left))
        for cut in cuts:
            entry = cut.array, cut.value.term
            if cut.value.leaf is None:
                part.numbers_given[cut.name] = entry
            else:
                part.given.setdefault(cut.name, {})[cut.value.leaf] = entry
        work: list[Atom] = [*left, *(cut.array for cut in cuts)]
        seen: set[int] = set()
        inside: set[int] = set()
        counts: Counter[Any] = Counter()
        while work:
            atom = work.pop()
            if isinstance(atom, Literal) or atom.number in seen or atom.number in self.flat.constants:
                continue
            seen.add(atom.number)
            if self._take(part, atom, counts):
                continue
            position = self._position.get(atom.number)
            if position is None:
                raise NotImportedError("an opaque part takes one number for each leaf")
            inside.add(position)
            work += self.flat.equations[position].inputs
        part.equations = [self.flat.equations[i] for i in sorted(inside)]
        return part

    def _take(self, part: Part, array: Array, counts: Counter[Any]) -> bool:
        """Make an array an operand of a call, if it can be one."""
        value = self.env.get(array.number)
        if value is None:
            if array.number in self._position:
                return False
            part.arrays.append(array)
            return True
        made = self.cuts.made.get(array.number)
        if made is not None and made.stage >= part.stage:
            return False
        if isinstance(value, Unknown | Stack) or self.cuts.stage(value) >= part.stage:
            return False
        leaf = value.leaf if isinstance(value, Value) else None
        if isinstance(value, Value) and leaf is not None:
            shape = self.cuts.leaf_shapes[leaf]
            if not jnp.issubdtype(array.dtype, jnp.floating) or not is_whole(value.axes, array.shape, shape):
                return False
            place = array.dtype.name, leaf
            name = f"taken {part.stage} {array.dtype.name} {counts[place]}"
            counts[place] += 1
            part.taken.setdefault(name, {})[leaf] = array, value.term
            return True
        if array.shape != () or not is_number(array.dtype):
            return False
        part.numbers_taken[f"taken {part.stage} number {len(part.numbers_taken)}"] = array, self.number(value)
        return True
