"""Run the fuzzer for a while: python -m tests.fuzz --minutes 10 --seed 0. Exits with 1 where anything fails."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.fuzz import files, imports
from tests.fuzz.checks import failure_of_text
from tests.fuzz.modules import module_text
from tests.fuzz.shrink import shrink_text
from tests.fuzz.texts import damaged_text, tokens_of

Failure = tuple[str, str]
"""The failure, and an input that shows it, as small as could be made."""


def _text(number: int, text_of: Callable[[int], str]) -> Failure | None:
    text = text_of(number)
    failure = failure_of_text(text)
    return (failure, shrink_text(text, failure_of_text, tokens_of)) if failure else None


def _file(number: int) -> Failure | None:
    suffix, data = files.damaged_file(number)
    with tempfile.TemporaryDirectory() as folder:
        failure = files.failure_of_file(data, suffix, Path(folder))
    return (failure, f"damaged_file({number})") if failure else None


def _params(number: int) -> Failure | None:
    text = files.damaged_params(number)
    failure = files.failure_of_params(text)
    return (failure, text[:200]) if failure else None


def _chain(number: int) -> Failure | None:
    try:
        imports.check(number)
    except Exception as error:
        return f"import: {type(error).__name__}", f"tests.fuzz.imports.check({number})"
    return None


KINDS: dict[str, tuple[int, Callable[[int], Failure | None]]] = {
    "texts": (200, lambda number: _text(number, damaged_text)),
    "modules": (20, lambda number: _text(number, module_text)),
    "files": (400, _file),
    "params": (400, _params),
    "chains": (1, _chain),
}
"""How many inputs of a kind a round has, and the check of one."""


def main() -> int:
    """Check inputs of every kind in turn until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0, help="the number of the first input of every kind")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    args = parser.parse_args()
    end = time.monotonic() + 60 * args.minutes
    run: Counter[str] = Counter()
    found: dict[str, str] = {}
    while time.monotonic() < end:
        for kind in args.kinds:
            count, check = KINDS[kind]
            for _ in range(count):
                failure = check(args.seed + run[kind])
                run[kind] += 1
                if failure and failure[0] not in found:
                    found[failure[0]] = failure[1]
                    print(f"{kind} {args.seed + run[kind] - 1}: {failure[0]}\n{failure[1]}\n", flush=True)
                if time.monotonic() > end:
                    break
    print(", ".join(f"{count} {kind}" for kind, count in run.items()) + f"; {len(found)} faults")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
