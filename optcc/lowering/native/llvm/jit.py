"""Kernels in machine code: compiled once for a process, for the CPU it runs on."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from llvmlite import binding

from optcc.lowering.native.llvm.kernel import name_of
from optcc.lowering.native.llvm.prefetch import asks, with_prefetches

_LOCK = threading.Lock()
_COMPILED: dict[str, Compiled] = {}


@dataclass(frozen=True)
class Compiled:
    """A compiled kernel: where it is in memory, and its IR after optimization.

    The code stays loaded until the process ends.
    """

    name: str
    address: int
    optimized: str

    @cached_property
    def assembly(self) -> str:
        """The machine code as text."""
        with _LOCK:
            return _machine().emit_assembly(binding.parse_assembly(self.optimized, binding.create_context()))


def compile_source(source: str) -> Compiled:
    """Compile the text of a kernel, once for a process.

    Raises RuntimeError for text that is not valid LLVM IR, and for a function it calls that the process does not have.
    """
    name = name_of(source)
    with _LOCK:
        if name not in _COMPILED:
            _COMPILED[name] = _compile(name, source)
        return _COMPILED[name]


@cache
def _machine() -> Any:
    """The host, with all of its features."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    triple = binding.get_process_triple()
    features = binding.get_host_cpu_features().flatten()
    if triple.startswith("x86_64"):
        # Sweeps wait for memory; vectors of two to a cache line are up to 5 % faster there than those of a whole line.
        features += ",+prefer-256-bit"
    return binding.Target.from_triple(triple).create_target_machine(
        cpu=binding.get_host_cpu_name(),
        features=features,
        opt=3,
        jit=True,
    )


@cache
def _engine() -> Any:
    return binding.create_lljit_compiler(_machine(), suppress_errors=True)


_TRACKERS: list[Any] = []
"""Code is unloaded when its tracker is."""


def _compile(name: str, source: str) -> Compiled:
    machine = _machine()
    module = binding.parse_assembly(source, binding.create_context())
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    module.verify()
    _optimize(module, machine)
    if asks(source):
        module = binding.parse_assembly(with_prefetches(str(module)), binding.create_context())
        module.verify()
    builder = binding.JITLibraryBuilder().add_object_img(machine.emit_object(module))
    tracker = builder.add_current_process().export_symbol("kernel").link(_engine(), name)
    _TRACKERS.append(tracker)
    return Compiled(name, tracker["kernel"], str(module))


def _optimize(module: Any, machine: Any) -> None:
    options = binding.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    options.loop_interleaving = True
    options.loop_unrolling = True
    passes = binding.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
