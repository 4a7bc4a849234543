"""What ``import optcc`` does: XLA knows the handler, so that executables from caches and files run."""

from __future__ import annotations

from optcc.runtime.native.library import available, set_compiler


def register() -> None:
    """Register the handler with XLA, and what compiles the kernels that an executable brings, if the library is there.

    Takes some 30 ms, starts no backend of JAX and does not import the compiler.
    """
    if available():
        set_compiler(compile_kernel)


def compile_kernel(name: str, source: str) -> int:
    """The address of a kernel, compiled once for a process."""
    from optcc.lowering.native.llvm import compile_source

    del name  # the source makes it
    return compile_source(source).address
