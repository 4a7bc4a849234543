"""Names of hyperparameters: the chain index, the groups and the keyword, as short as is unique."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from optcc.formula.definition import Definition

Path = tuple[int | str, ...]
INNER = "inner"
"""What wrappers call the transformation they wrap, in names of hyperparameters and in errors."""


def hyper_names(root: Definition) -> dict[Path, str]:
    """A name for every hyperparameter below `root`, by its full path of child indices and keyword.

    The name is the outermost index, the labels of the groups inside and the keyword: `1.learning_rate`,
    `1.bias.learning_rate`. Where two share that, both take all their indices, `1.0.b1` and `1.2.b1`.
    """
    paths = [(*path, name) for path, definition in definitions(root) for name in definition.hypers]
    short = {path: _join((path[0], *filter(_is_group, path[1:-1]), path[-1]) if path[1:] else path) for path in paths}
    uses = Counter(short.values())
    return {path: name if uses[name] == 1 else _join(path) for path, name in short.items()}


def full_names(root: Definition) -> dict[str, str]:
    """The name of every hyperparameter by its full path, `1.bias.2.learning_rate`, which no other one can change."""
    return {_join(path): name for path, name in hyper_names(root).items()}


def definitions(definition: Definition, above: Path = ()) -> Iterator[tuple[Path, Definition]]:
    """A definition and all those below it, by their full paths."""
    yield above, definition
    for i, child in enumerate(definition.children):
        place = definition.labels[i] if definition.labels else i
        yield from definitions(child, (*above, place) if definition.numbers_children else above)


def _is_group(part: int | str) -> bool:
    """Whether a part of a path is the label of one group among several, and no index."""
    return isinstance(part, str) and part != INNER


def _join(path: Path) -> str:
    return ".".join(map(str, path))


def child_labels(names: Sequence[Any]) -> tuple[str, ...]:
    """The labels of children that have names: these where they are words or integers, else their positions.

    A word may have hyphens, slashes and colons: `no-decay`, `encoder/bias`.
    """
    texts = [str(name) for name in names if isinstance(name, str | int)]
    words = len(set(texts)) == len(names) and all(re.fullmatch(r"[\w/:-]+", text) for text in texts)
    return tuple(texts if words else map(str, range(len(names))))
