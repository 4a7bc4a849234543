"""Names of hyperparameters: the chain index and the keyword, as short as is unique."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from optcc.formula.definition import Definition

Path = tuple[int | str, ...]


def hyper_names(root: Definition) -> dict[Path, str]:
    """A name for every hyperparameter below `root`, by its full path of child indices and keyword.

    The name is the outermost index and the keyword, `1.learning_rate`; where two share that, both take all their
    indices, `1.0.b1` and `1.2.b1`.
    """
    paths = list(_paths(root, ()))
    short = {path: _join((path[0], path[-1]) if len(path) > 2 else path) for path in paths}
    uses = Counter(short.values())
    return {path: name if uses[name] == 1 else _join(path) for path, name in short.items()}


def _paths(definition: Definition, above: Path) -> Iterator[Path]:
    for name in definition.hypers:
        yield (*above, name)
    for i, child in enumerate(definition.children):
        place = definition.labels[i] if definition.labels else i
        yield from _paths(child, (*above, place) if definition.numbers_children else above)


def _join(path: Path) -> str:
    return ".".join(map(str, path))
