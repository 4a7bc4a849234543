"""From the values of a re-rolled function to the terms that are emitted, and the calls between them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from optcc.importers.flat_jaxprs import Atom, FlatJaxpr
from optcc.importers.lanes import Roller
from optcc.importers.opaque_parts import Part, Slicer
from optcc.importers.terms import Rolled, Term, Unknown

Place = tuple[str, int | None]


def rolled(
    roller: Roller,
    flat: FlatJaxpr,
    asked: Sequence[tuple[Atom, Place]],
    per_leaf: Collection[str],
    left: Sequence[Atom],
) -> Rolled:
    """The terms of the outputs that are asked for, and the calls that they need, and that give the arrays `left`.

    `per_leaf` has the names of outputs of one number for each leaf. Raises NotImportedError.
    """
    trees: dict[str, dict[int, Term]] = {}
    scalars: dict[str, Term] = {}
    for atom, (name, leaf) in asked:
        value = roller.read(atom)
        if isinstance(value, Unknown) and name not in per_leaf:
            value = roller.cut(atom, leaf)
        if leaf is None:
            scalars[name] = roller.number(value)
        else:
            trees.setdefault(name, {})[leaf] = roller.of_leaf(value, leaf, atom.shape, per_leaf=name in per_leaf)
    used = _Used()
    used.mark((t, leaf) for terms in trees.values() for leaf, t in terms.items())
    used.mark((t, None) for t in scalars.values())
    parts = _parts(roller, flat, used, left)
    for part in parts:
        trees |= {name: {leaf: t for leaf, (_, t) in tree.items()} for name, tree in part.taken.items()}
        scalars |= {name: t for name, (_, t) in part.numbers_taken.items()}
    terms = [t for t in roller.terms.made if t.number in used.terms]
    stages = {t.number: stage for t in terms if parts and (stage := roller.cuts.stage_of_term(t))}
    return Rolled(terms, trees, scalars, [t for t in terms if t.op == "fold"], roller.first_use, parts, stages)


def _parts(roller: Roller, flat: FlatJaxpr, used: _Used, left: Sequence[Atom]) -> list[Part]:
    """The calls in order. A call takes what others give before it, so the last is looked at first."""
    cuts = list(roller.cuts.made.values())
    last = max((roller.cuts.stage_of(atom, roller.read(atom)) for atom in left), default=0)
    slicer = Slicer(roller.cuts, flat, roller.env, roller.number) if cuts or left else None
    parts: list[Part] = []
    for stage in sorted({cut.stage for cut in cuts} | ({last} if left else set()), reverse=True):
        wanted = [cut for cut in cuts if cut.stage == stage and used.has(cut.value.term, cut.value.leaf)]
        here = left if stage == last else []
        if not wanted and not here:
            continue
        assert slicer is not None
        part = slicer.part(stage, wanted, here)
        used.mark((t, leaf) for tree in part.taken.values() for leaf, (_, t) in tree.items())
        used.mark((t, None) for _, t in part.numbers_taken.values())
        parts.append(part)
    return parts[::-1]


class _Used:
    """The terms that something needs, and for which leaves."""

    def __init__(self) -> None:
        self.terms: set[int] = set()
        self._pairs: set[tuple[int, int | None]] = set()

    def has(self, term: Term, leaf: int | None) -> bool:
        return (term.number, leaf) in self._pairs

    def mark(self, roots: Iterable[tuple[Term, int | None]]) -> None:
        """Add terms of leaves, None for the step, and what these need."""
        work = [(t, None if t.kept is None else leaf) for t, leaf in roots]
        while work:
            term, leaf = work.pop()
            if (term.number, leaf) in self._pairs:
                continue
            self._pairs.add((term.number, leaf))
            self.terms.add(term.number)
            leaves = term.parameter[1] if term.op == "fold" else [leaf] * len(term.operands)
            work += [(t, None if t.kept is None else of) for t, of in zip(term.operands, leaves, strict=True)]
