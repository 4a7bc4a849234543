"""The measured memory limit: a C loop over the same streams as the sweeps of a step, with the same threads."""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path

import numpy as np

from optcc.dialect import Combiner, TreeType, sweeps_of
from optcc.runtime.optimizer import CompiledOptimizer

Streams = tuple[int, int]
"""How many arrays a sweep reads only, and how many it reads and writes."""


@cache
def _library() -> ctypes.CDLL:
    source = Path(__file__).with_name("memory_limit.c")
    built = Path(tempfile.mkdtemp()) / "memory_limit.so"
    compiler = os.environ.get("CC", "cc")
    # Not -ffast-math: what gcc links with it has the whole process flush subnormals to zero.
    loose = ["-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math", "-fno-math-errno"]
    flags = ["-O3", "-march=native", *loose, "-std=c11", "-shared", "-fPIC", "-pthread"]
    subprocess.run([compiler, *flags, str(source), "-o", str(built)], check=True)
    library = ctypes.CDLL(str(built))
    library.optcc_sweep_limit.restype = ctypes.c_double
    library.optcc_sweep_limit.argtypes = [
        ctypes.POINTER(ctypes.c_void_p),
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_size_t,
        ctypes.c_int,
    ]
    return library


def streams_of(compiled: CompiledOptimizer) -> list[Streams]:
    """The streams of each sweep of a compiled step, which must be over one leaf set."""
    found: list[Streams] = []
    for sweep in sweeps_of(compiled.staged.program.step.op):
        read = max(sum(_has_elements(t) for t in op.operand_types) for op in sweep.maps)
        pairs = [[(t, k) for t, k in zip(op.result_types, op.kinds, strict=True)] for op in sweep.maps]
        written = max(sum(k is Combiner.NONE and _has_elements(t) for t, k in pair) for pair in pairs)
        found.append((read - written, written))
    return found


def _has_elements(type_: object) -> bool:
    return isinstance(type_, TreeType) and type_.has_elements


class Limit:
    """Runs the sweeps of one chain over float32 streams of one size."""

    def __init__(self, sweeps: list[Streams], size: int) -> None:
        self.sweeps = sweeps
        self.size = size
        count = max(reads + updates for reads, updates in sweeps)
        # Streams that lie at one offset within a page get in each other's way in the cache.
        self.arrays = [np.full(size + 4096, 1e-3, np.float32)[k * 272 :][:size] for k in range(count)]
        self.pointers = (ctypes.c_void_p * count)(*(a.ctypes.data for a in self.arrays))

    def time_steps(self, count: int) -> float:
        """Seconds of some steps."""
        start = time.perf_counter()
        for _ in range(count):
            for reads, updates in self.sweeps:
                _library().optcc_sweep_limit(self.pointers, reads, updates, self.size, os.cpu_count() or 1)
        return time.perf_counter() - start
