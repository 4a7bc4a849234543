"""Software prefetches: a kernel's vector loops ask for the memory of later iterations.

LLVM does not vectorise a loop with a prefetch in it. So the source of a kernel only says what to prefetch, in the names
of the pointers of `chunk`, and the prefetches come into the loops when LLVM has optimized them. What the loops compute,
and in which order they fold, stays as it was.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from optcc.errors import message


@dataclass(frozen=True)
class Rule:
    """How far ahead loops prefetch, in bytes of all their streams together, and which loops do.

    A loop does at least `least_work` operations, folds among them, for an element of each stream.
    """

    ahead: int
    least_work: int = 0


RULES = {"GenuineIntel": Rule(8192), "AuthenticAMD": Rule(4096, least_work=2), "AuthenticAMD 25 17": Rule(0)}
"""By the vendor of the processor, or by vendor, family and model, which goes first; all others prefetch nothing.

Measured on a Xeon (Emerald Rapids): from 4,096 to 16,384 bytes the times are the same within 3 %. With 32,768 nothing
is left of the gain: the first cache has 49,152. Measured on an EPYC (family 25, model 1): from 1,024 to 8,192 bytes
adam, lamb and the norm of clip take a tenth less, sgd (one operation a stream) a fifth more, momentum (1.3) 1 to 6 %
more. On an EPYC of the next generation (model 17) lion takes 2 to 5 % more, adam and clip up to 3 % more, lamb a tenth
less: there loops prefetch nothing.
"""
LEAST_RUN = 8
"""A run over memory has at least as many times the bytes ahead. At its end so many are fetched for nothing."""
LEAST_PROGRAM = 6 << 20
"""A program has at least so many bytes of arguments. What is smaller lies in the cache from one step to the next.

Measured on the same Xeon, in loops of steps on packed arrays: with 3 MB of arguments prefetches cost an eighth of the
time, with 1 MB a quarter; with 6 MB nothing.
"""
VARIABLE = "OPTCC_PREFETCH"
_FARTHEST = 1 << 20
_LINE = 64
"""Bytes of a cache line."""
_NAME = r"%[-\w.$]+"


def rule() -> Rule:
    """Which loops prefetch, and how many bytes ahead; 0 bytes for no prefetches.

    The environment variable `OPTCC_PREFETCH` says it, for loops of any work, and without it `RULES`. Raises ValueError
    for a value that is not a number of bytes up to 1 MB.
    """
    text = os.environ.get(VARIABLE)
    if text is None:
        name = _processor()
        return RULES.get(name) or RULES.get(name.partition(" ")[0], Rule(0))
    if not re.fullmatch("[0-9]{1,7}", text) or int(text) > _FARTHEST:
        fix = f"set it to 0 for no prefetches, or to how many bytes ahead, at most {_FARTHEST}"
        raise ValueError(message(f"not a number of bytes: {text!r}", f"the environment variable {VARIABLE}", fix))
    return Rule(int(text))


@cache
def _processor() -> str:
    """Vendor, family and model of an x86 processor under Linux; empty where nobody says."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""
    found = (re.search(rf"^{name}\s*: (\w+)", text, re.MULTILINE) for name in ("vendor_id", "cpu family", "model"))
    return " ".join(match[1] for match in found if match)


def bytes_that_pay(size: int, runs: int, work: float) -> int:
    """How many bytes ahead loops prefetch that read and write so many bytes in all, in runs from end to end of memory,
    with so many operations for an element of each stream; 0 where the runs are too short, or the work too little."""
    found = rule()
    return found.ahead if work >= found.least_work and size >= LEAST_RUN * found.ahead * runs else 0


def stream(number: int, ahead: int) -> str:
    """The name of the pointer of an array whose loops are to prefetch `ahead` bytes ahead."""
    return f"ahead{ahead}.{number}"


def with_prefetches(text: str) -> str:
    """The text of an optimized module with the prefetches that its names ask for, in the loops that are vectors.

    A loop has one for each cache line that an iteration reads or writes of a stream. A loop of scalars has none: it is
    for what does not fill a vector.
    """
    ahead = {name: int(number) for name, number in re.findall(r"(%ahead(\d+)\.\d+)\b", text)}
    start = text.find("@chunk(")
    end = text.find("\n}\n", start)
    blocks = text[start:end].split("\n\n")
    bases = _bases(text[start:end])
    changed = "\n\n".join(_with_prefetches(block, number, ahead, bases) for number, block in enumerate(blocks))
    return f"{text[:start]}{changed}{text[end:]}\ndeclare void @llvm.prefetch.p0(ptr, i32, i32, i32)\n"


def asks(source: str) -> bool:
    """Whether a kernel's source asks for prefetches."""
    return re.search(r'%"ahead\d', source) is not None


def _bases(function: str) -> dict[str, list[str]]:
    """For each pointer that is computed the pointers that it is computed from."""
    bases = {
        pointer: [base]
        for pointer, base in re.findall(rf"^  ({_NAME}) = getelementptr .*?, ptr ({_NAME}),", function, re.MULTILINE)
    }
    for pointer, incoming in re.findall(rf"^  ({_NAME}) = phi ptr (.*)$", function, re.MULTILINE):
        bases[pointer] = re.findall(rf"\[ ({_NAME}), ", incoming)
    return bases


def _with_prefetches(block: str, number: int, ahead: dict[str, int], bases: dict[str, list[str]]) -> str:
    """A basic block, which is a loop if it branches to itself."""
    *lines, branch = block.rstrip("\n").split("\n")
    label = "%" + block.partition(":")[0]
    if label not in re.findall(f"label ({_NAME})", branch) or label.startswith("%vec.epilog"):
        return block
    added: list[str] = []
    for name, (pointer, bytes_) in _accesses(lines, ahead, bases).items():
        for line in range(0, bytes_, _LINE):
            place = f"%prefetched.{number}.{len(added)}"
            added.append(
                f"  {place} = getelementptr i8, ptr {pointer}, i64 {ahead[name] + line}\n"
                f"  call void @llvm.prefetch.p0(ptr {place}, i32 0, i32 3, i32 1)"
            )
    return "\n".join([*lines, *added, branch])


def _accesses(lines: list[str], ahead: dict[str, int], bases: dict[str, list[str]]) -> dict[str, tuple[str, int]]:
    """For each stream in a loop the first pointer into it, and how many bytes of it an iteration reads, or writes."""
    loads: dict[str, tuple[str, int]] = {}
    stores: dict[str, tuple[str, int]] = {}
    for line in lines:
        found = re.match(rf"  (?:{_NAME} = load|(store)) <(\d+) x (\w+)>.*?, ptr ({_NAME}),", line)
        name = found and _origin(found[4], ahead, bases)
        if not found or not name:
            continue
        table = stores if found[1] else loads
        pointer, bytes_ = table.get(name, (found[4], 0))
        table[name] = pointer, bytes_ + int(found[2]) * _bytes_of(found[3])
    return stores | loads


def _origin(pointer: str, ahead: dict[str, int], bases: dict[str, list[str]]) -> str | None:
    """The stream that a pointer points into."""
    seen: set[str] = set()
    todo = [pointer]
    while todo:
        name = todo.pop()
        if name in ahead:
            return name
        if name not in seen:
            seen.add(name)
            todo += bases.get(name, [])
    return None


def _bytes_of(element: str) -> int:
    """Bytes of a scalar type of LLVM."""
    return {"half": 2, "float": 4, "double": 8}.get(element) or int(element[1:]) // 8
