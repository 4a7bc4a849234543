"""The code blocks of a page.

Blocks of one page run in order and share their names. What stands in the fence behind the language says how:

- ``python``: it runs; a block without a language right behind it is what it prints;
- ``python raises``: it fails, and the block behind it is how the message begins;
- ``python slow``: it runs with ``-m exhaustive`` only, and so do all blocks of the page behind it;
- ``sh``: lines that begin with ``optcc`` run in this process, others are checked elsewhere; ``sh slow`` as above;
- ``mlir``: it is parsed and verified.

An HTML comment ``<!-- before: ... -->`` has Python that runs first, and that a reader need not see.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from textwrap import dedent

FENCE = re.compile(
    r"^<!-- before:\n(?P<before>.*?)^-->$|^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A block: its language, the words behind it, its code, what is shown behind it, and its line in the page."""

    language: str
    words: tuple[str, ...]
    code: str
    shown: str | None
    line: int


def blocks_of(text: str) -> Iterator[Block]:
    """The blocks of a page in order; what is shown behind a block of Python belongs to it."""
    found = list(FENCE.finditer(text))
    for match, after in zip_longest(found, found[1:]):
        line = text.count("\n", 0, match.start()) + 1
        if match["before"]:
            yield Block("python", (), match["before"], None, line)
            continue
        language, *words = match["info"].split() or [""]
        between = text[match.end() : after.start()] if after else "more"
        shows = after is not None and after["info"] == "" and not after["before"] and not between.strip()
        yield Block(language, tuple(words), dedent(match["code"]), after["code"] if shows and after else None, line)
