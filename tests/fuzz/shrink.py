"""Make a failing input small: drop parts of it while the same failure stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def shrink(items: Sequence[T], fails: Callable[[list[T]], bool], budget: int = 2000) -> list[T]:
    """A part of `items` that still fails and of which, given enough tries, no single item can be left out.

    Drops runs of items, half of them first, then ever shorter ones. `budget` limits the calls of `fails`.
    """
    kept, size = list(items), max(len(items) // 2, 1)
    while budget > 0:
        at, before = 0, len(kept)
        while at < len(kept) and budget > 0:
            fewer = kept[:at] + kept[at + size :]
            budget -= 1
            if fewer and fails(fewer):
                kept = fewer
            else:
                at += size
        if size == 1 and len(kept) == before:
            break
        size = max(size // 2, 1)
    return kept


def shrink_text(text: str, failure_of: Callable[[str], str | None], tokens_of: Callable[[str], list[str]]) -> str:
    """A shorter text with the same failure: lines first, tokens of what is left then."""
    failure = failure_of(text)

    def fails(parts: list[str]) -> bool:
        return failure_of("".join(parts)) == failure

    lines = "".join(shrink(text.splitlines(keepends=True), fails))
    return "".join(shrink(tokens_of(lines), fails))
