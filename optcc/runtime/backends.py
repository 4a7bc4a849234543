"""The choice between native kernels and StableHLO."""

from __future__ import annotations

import jax

from optcc.errors import message
from optcc.lowering.native.custom_calls import NativeCalls
from optcc.runtime import native

BACKENDS = ("auto", "native", "stablehlo")
"""`auto` takes native kernels where they are available and XLA's CPU backend runs the program, else StableHLO."""


def check_backend(backend: str) -> None:
    """Raises ValueError for a backend that there is not, and for `native` where it is not available."""
    if backend not in BACKENDS:
        raise ValueError(message(f"unknown backend {backend!r}", fix=f"one of {', '.join(BACKENDS)}"))
    if backend == "native" and not native.available():
        raise native.NativeUnavailableError(native.unavailable_reason())


def why_no_native_calls(backend: str) -> str:
    """Why no sweep at all runs natively here, in a sentence; empty if sweeps can."""
    if backend == "stablehlo":
        return "it was asked for"
    if jax.default_backend() != "cpu":
        return f"there are no native kernels for {jax.default_backend()} yet"
    return native.unavailable_reason()


def native_calls(backend: str) -> NativeCalls | None:
    """What emits the calls of native kernels for a backend, if it has any."""
    if backend == "stablehlo" or not native.available():
        return None
    return NativeCalls(native.TARGET, _register)


def _register(name: str, source: str) -> None:
    native.register_kernel(name, native.compile_kernel(name, source))
