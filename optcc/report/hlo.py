"""What the text of an optimized HLO module says of kernels and collectives."""

from __future__ import annotations

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
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%\S+ = (.*?[})\]]) ([a-z][\w-]*)\((.*)$", flags=re.MULTILINE)
_COMPUTATION = re.compile(r"^(?:ENTRY )?%([\w.-]+) \([^\n]*\{$\n(.*?)^\}", flags=re.MULTILINE | re.DOTALL)
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
    for type_, opcode, rest in _INSTRUCTION.findall(bodies[name]):
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
    opcodes = (opcode.removesuffix("-start") for _, opcode, _ in _INSTRUCTION.findall(hlo))
    return Counter(opcode for opcode in opcodes if opcode in _COLLECTIVES)
