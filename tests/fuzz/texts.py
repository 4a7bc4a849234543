"""Text of the dialect that no one meant: a random module of which tokens are swapped, doubled, dropped or replaced."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from tests.fuzz.modules import module_text

_LIT_TESTS = Path(__file__).parents[2] / "lit_tests"
_TOKEN = re.compile(r"\s+|\"(?:[^\"\\]|\\.)*\"|[%@#!^]?[\w.$-]+|->|.", re.DOTALL)
_STRANGE = (
    "\ufeff", "\0", "😀", "é", '"', "'", "\\", "{", "}", "(", ")", "<", ">", "[", "]", ",", "=", ":", "->", "-1", "0",
    str(2**64), "1e400", "nan", "0x7FF0000000000000", "f80", "f128", "f16", "bf16", "i1", "i32", "i64", "index", "none",
    "complex<f80>", "tensor<4xf32>", "memref<4xf32>", "vector<4xf32>", "loc(unknown)", "#optim.slot<updates>",
    '#optim.slot<params at [0]>', '"b\\n\\"é"', '"\\C3\\A9"', "@all", "@none", "^bb0", "%s", "%p", "%p:2", "%p#1",
    "optim.map", "optim.sweep", "optim.yield", "func.return", "func.func", "arith.constant 1 : i32", "by <add>",
    "elements", "per_leaf", "rows", "true", "unit",
)  # fmt: skip
"""Texts that are put in place of a token."""


def tokens_of(text: str) -> list[str]:
    """The tokens of a text, blanks included."""
    return _TOKEN.findall(text)


@cache
def corpus() -> tuple[str, ...]:
    """The modules of the lit tests, valid ones and invalid ones."""
    files = sorted(_LIT_TESTS.rglob("*.mlir"))
    chunks = (chunk for file in files for chunk in re.split(r"^// -----.*\n", file.read_text(), flags=re.MULTILINE))
    without_comments = (re.sub(r"^\s*//.*\n?", "", chunk, flags=re.MULTILINE).strip() for chunk in chunks)
    return tuple(chunk for chunk in without_comments if 0 < len(chunk) < 3000)


def damaged_text(number: int) -> str:
    """The text of a module of the lit tests, or of a random one, with one to four places damaged."""
    rng = random.Random(number)
    text = module_text(number % 400) if number % 10 == 0 else rng.choice(corpus())
    if rng.random() < 0.02:
        return rng.choice(_STRANGE) + text
    lines = text.splitlines(keepends=True)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        if rng.random() < 0.3:
            _damage_list(lines, rng, lambda: rng.choice(lines))
        else:
            at = rng.randrange(len(lines))
            tokens = tokens_of(lines[at]) or [""]
            words = [t for line in lines for t in tokens_of(line) if t.strip()]
            _damage_list(tokens, rng, lambda words=words: rng.choice(_STRANGE if rng.random() < 0.4 else words))
            lines[at] = "".join(tokens)
    return "".join(lines)


def _damage_list(items: list[str], rng: random.Random, other: Callable[[], str]) -> None:
    """Swap two items, or double, drop or replace one, or put another one before it."""
    i, j = rng.randrange(len(items)), rng.randrange(len(items))
    kind = rng.randrange(5)
    if kind == 0:
        items[i], items[j] = items[j], items[i]
    elif kind == 1:
        items.insert(j, items[i])
    elif kind == 2 and len(items) > 1:
        del items[i]
    elif kind == 3:
        items[i] = other()
    else:
        items.insert(i, other())
