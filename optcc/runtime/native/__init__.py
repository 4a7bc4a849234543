"""The native CPU runtime: kernels called from XLA executables. Its contract is docs/native.md.

Importing this loads nothing, `register` does it; ``import optcc`` calls it.
"""

from optcc.runtime.native.library import (
    TARGET,
    NativeUnavailableError,
    available,
    register_kernel,
    set_compiler,
    unavailable_reason,
)
from optcc.runtime.native.registration import compile_kernel, register

__all__ = [
    "TARGET",
    "NativeUnavailableError",
    "available",
    "compile_kernel",
    "register",
    "register_kernel",
    "set_compiler",
    "unavailable_reason",
]
