"""Names of hyperparameters: the chain index and the keyword, as short as is unique."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from optcc.formula.definition import Definition

Path = tuple[int | str, ...]


def hyper_names(root: Definition) -> dict[Path, str]:
    """A name for every hyperparameter below `root`, by its full path of child indices and keyword.

    The name is the outermost index and the keyword, `1.learning_rate`; where two share that, both take all their
    indices, `1.0.b1` and `1.2.b1`.
    """
    paths = [(*path, name) for path, definition in definitions(root) for name in definition.hypers]
    short = {path: _join((path[0], path[-1]) if len(path) > 2 else path) for path in paths}
    uses = Counter(short.values())
    return {path: name if uses[name] == 1 else _join(path) for path, name in short.items()}


def definitions(definition: Definition, above: Path = ()) -> Iterator[tuple[Path, Definition]]:
    """A definition and all those below it, by their full paths."""
    yield above, definition
    for i, child in enumerate(definition.children):
        place = definition.labels[i] if definition.labels else i
        yield from definitions(child, (*above, place) if definition.numbers_children else above)


def _join(path: Path) -> str:
    return ".".join(map(str, path))


def child_labels(names: Sequence[Any]) -> tuple[str, ...]:
    """The labels of children that have names: these where they are words, else their positions."""
    words = all(isinstance(name, str) and re.fullmatch(r"\w+", name) for name in names)
    return tuple(map(str, names if words else range(len(names))))
