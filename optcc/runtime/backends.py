"""The choice between native kernels and StableHLO."""

from __future__ import annotations

from xdsl.dialects.func import FuncOp

from optcc.dialect import sweeps_of
from optcc.errors import message
from optcc.logs import log
from optcc.lowering.backend import Backend, Site
from optcc.lowering.native.calls import why_not_native
from optcc.lowering.native.custom_calls import NativeCalls
from optcc.lowering.native.functions import Native
from optcc.lowering.stablehlo.functions import StableHLO
from optcc.lowering.xla_cpu.functions import XlaCpu
from optcc.lowering.xla_gpu.functions import XlaGpu
from optcc.runtime import native

BACKENDS = ("auto", "native", "stablehlo")
"""`auto` takes native kernels where they are available and XLA's CPU backend runs the program, else StableHLO."""


def check_backend(backend: str) -> None:
    """Raises ValueError for a backend that there is not, and for `native` where it is not available."""
    if backend not in BACKENDS:
        raise ValueError(message(f"unknown backend {backend!r}", fix=f"one of {', '.join(BACKENDS)}"))
    if backend == "native" and not native.available():
        raise native.NativeUnavailableError(native.unavailable_reason())


def why_no_native_calls(backend: str, platform: str) -> str:
    """Why no sweep at all runs natively on a platform, in a sentence; empty if sweeps can."""
    if backend == "stablehlo":
        return "it was asked for"
    if platform != "cpu":
        return f"there are no native kernels for {platform} yet"
    return native.unavailable_reason()


def backend_at(site: Site, backend: str, platform: str, *, partitioned: bool) -> Backend:
    """What emits functions at a place of a module for a platform.

    `partitioned` says that XLA partitions the module. It knows no way to do so with our calls: it gathers the operands
    of a custom call, and replicates the results.
    """
    if platform in ("cuda", "rocm"):
        return XlaGpu(site)
    if platform != "cpu":
        return StableHLO(site)
    if backend == "stablehlo" or partitioned or not native.available():
        return XlaCpu(site)
    return Native(site, NativeCalls(native.TARGET, _register))


def log_backends(function: FuncOp, backend: str, platform: str, *, partitioned: bool) -> None:
    """Log which sweeps of a function do not run natively, and why."""
    everywhere = "XLA partitions the module" if partitioned else why_no_native_calls(backend, platform)
    for number, sweep in enumerate(sweeps_of(function)):
        if reason := everywhere or why_not_native(sweep):
            log("backend", f"sweep {number} of @{function.sym_name.data} runs as stablehlo: {reason}")


def _register(name: str, source: str) -> None:
    native.register_kernel(name, native.compile_kernel(name, source))
