"""What the text of an optimized HLO module says of kernels, collectives and bytes."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

_FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "partition-id", "replica-id"}
_COLLECTIVES = (
    "all-gather",
    "all-reduce",
    "all-to-all",
    "collective-broadcast",
    "collective-permute",
    "ragged-all-to-all",
    "reduce-scatter",
)
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%(\S+) = (.*?[})\]]) ([a-z][\w-]*)\((.*)$", flags=re.MULTILINE)
_COMPUTATION = re.compile(r"^(?:ENTRY )?%([\w.-]+) \([^\n]*\{$\n(.*?)^\}", flags=re.MULTILINE | re.DOTALL)
_ARRAY = re.compile(r"\b(pred|bf16|[sufc]\d+)\[([\d,]*)\](?:\{([^}]*)\})?")
_ON_CHIP = re.compile(r"S\([1-9]")
"""The memory space in a layout; no number, or 0, is the device's large memory."""
_CALLED = re.compile(r"to_apply=%([\w.-]+)")
_TPU_SCALAR = re.compile(r"\w+\[\]\{:T\(")
"""The type of a 0-d value; only a TPU's layouts have tiles."""


def kernels(hlo: str) -> Counter[str]:
    """Instructions of the entry computation that do work when it runs, by opcode; also those of what it calls.

    A GPU's command buffer is such a call. Of an asynchronous instruction its start counts, as the instruction. Those on
    0-d values alone are left out where the module is for a TPU, whose scalar core runs them beside the rest.
    """
    bodies = dict(_COMPUTATION.findall(hlo))
    entry = re.search(r"^ENTRY %([\w.-]+)", hlo, flags=re.MULTILINE)
    return Counter(_opcodes(entry[1], bodies)) if entry else Counter()


def _opcodes(name: str, bodies: dict[str, str]) -> Iterator[str]:
    for _, type_, opcode, rest in _INSTRUCTION.findall(bodies[name]):
        called = _CALLED.search(rest) if opcode == "call" else None
        if called:
            yield from _opcodes(called[1], bodies)
        elif opcode not in _FREE and not opcode.endswith("-done") and not _TPU_SCALAR.match(type_):
            yield opcode.removesuffix("-start")


def kernel_count(hlo: str) -> int:
    """Instructions that do work when the module runs."""
    return kernels(hlo).total()


def collectives(hlo: str) -> Counter[str]:
    """The collectives of all computations, by opcode; of an asynchronous one its start counts."""
    opcodes = (opcode.removesuffix("-start") for _, _, opcode, _ in _INSTRUCTION.findall(hlo))
    return Counter(opcode for opcode in opcodes if opcode in _COLLECTIVES)


def memory_bytes(hlo: str) -> int:
    """Bytes that a module for a TPU reads from its large memory and writes there.

    XLA's own count takes the memory on the chip for the same: an operand that is fetched ahead of its use counts when
    it is read, when it is put on the chip and when it is read there. Here every instruction of the entry computation
    counts by those of its operands and results that are not on the chip. Operands of fusions count whole.
    """
    entry = hlo[hlo.index("\nENTRY ") :]
    sizes: dict[str, list[int]] = {}
    total = 0
    for name, type_, opcode, rest in _INSTRUCTION.findall(entry[: entry.index("\n}")]):
        sizes[name] = _bytes_off_chip(type_)
        if opcode in _FREE or opcode.endswith("-done") or "ConcatBitcast" in rest:
            continue
        if opcode == "slice-start":  # of the type ((whole), slice, context): it reads as much as it makes
            total += _bytes_of(type_)[1]
        elif opcode == "copy-start":  # of the type (result, operand, context)
            total += sum(sizes[name][:2])
        else:
            operands = dict.fromkeys(re.findall(r"%([\w.-]+)", rest.partition("), ")[0]))
            total += sum(sizes[name]) + sum(sum(sizes.get(operand, ())) for operand in operands)
    return total


def _bytes_of(type_: str) -> list[int]:
    """The bytes of each array of a type."""
    found: list[int] = []
    for element, dims, _ in _ARRAY.findall(type_):
        count = math.prod(map(int, dims.split(","))) if dims else 1
        bits = re.search(r"\d+", element)
        found.append(count * max(int(bits[0]) // 8, 1) if bits else count)
    return found


def _bytes_off_chip(type_: str) -> list[int]:
    """The bytes of each array of a type, 0 for those on the chip."""
    layouts = [layout for _, _, layout in _ARRAY.findall(type_)]
    return [0 if _ON_CHIP.search(x) else size for x, size in zip(layouts, _bytes_of(type_), strict=True)]
