"""Finds the native library, loads it and registers its handler with XLA.

The library is looked for in one place: the folder of this file. A wheel holds it there; an editable install and a plain
``cmake`` build of a checkout put it there (``cmake -S . -B build && cmake --build build``).
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import re
import threading
import traceback
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import jax

from optcc.errors import OptccError, message

# The custom-call target of the handler.
TARGET = "optcc_sweep"

_FILE = "liboptcc_native.so"
_FOLDER = Path(__file__).resolve().parent
# The same number as in python_api.cc.
_ABI_VERSION = 3
_COMPILER = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int64)


class NativeUnavailableError(OptccError, RuntimeError):
    """The native runtime is asked for, but cannot be used here."""


def available() -> bool:
    """Whether the native runtime can be used; loads it and registers it with XLA."""
    return not unavailable_reason()


def unavailable_reason() -> str:
    """Why the native runtime cannot be used, and what to do about it; empty if it can."""
    try:
        _library()
    except NativeUnavailableError as error:
        return str(error)
    return ""


def register_kernel(name: str, address: int) -> None:
    """Make a kernel callable by its name, in this process and for good.

    Args:
      name: the key; a name that is registered already keeps its first address.
      address: of machine code with the signature in docs/native.md, valid until the process ends.
    """
    if not address:
        raise ValueError(f"kernel {name!r}: the address is null")
    _library().optcc_register_kernel(name.encode(), address)


def set_compiler(compiler: Callable[[str, str], int] | None) -> None:
    """Set how the handler gets a kernel that is not registered, as in an executable from JAX's compilation cache.

    Args:
      compiler: takes the kernel's name and its source text and returns the address of its machine code, which stays
        valid until the process ends. It is called in threads of XLA, in several at once. What it raises becomes the
        error of the call. None takes the compiler away.
    """
    library = _library()
    with _lock:
        callback = _COMPILER(_as_callback(compiler)) if compiler else _COMPILER()
        library.optcc_set_compiler(callback)
        # Another thread may still be inside an earlier one.
        _callbacks.append(callback)


_lock = threading.Lock()
_callbacks: list[object] = []


def _as_callback(compiler: Callable[[str, str], int]) -> Callable[[bytes, bytes, int, int], int | None]:
    def callback(name: bytes, source: bytes, error: int, error_size: int) -> int | None:
        try:
            return compiler(name.decode(), source.decode())
        except BaseException as raised:  # it cannot pass through C
            lines = "".join(traceback.format_exception_only(raised)).strip()
            text = lines.encode("ascii", "backslashreplace")[: error_size - 1]
            ctypes.memmove(error, text + b"\0", len(text) + 1)
            return None

    return callback


def _library() -> ctypes.CDLL:
    with _lock:  # XLA takes the registrations of `_load` only once
        return _load(_FOLDER / _FILE)


@functools.cache
def _load(path: Path) -> ctypes.CDLL:
    if not path.exists():
        raise NativeUnavailableError(
            message(
                "optcc was installed without its native library: no C++ compiler was found",
                str(path.parent),
                "install g++ or clang++ and then optcc again; in a checkout, run `cmake -S . -B build && cmake --build "
                "build`",
            )
        )
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise NativeUnavailableError(message(f"the native library cannot be loaded: {error}", str(path))) from error
    _check_abi(library, path)
    _check_ffi(library, path)
    library.optcc_register_kernel.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    library.optcc_register_kernel.restype = None
    library.optcc_set_compiler.argtypes = [_COMPILER]
    library.optcc_set_compiler.restype = None
    _register_with_xla(library)
    # XLA's threads may outlive the interpreter.
    atexit.register(library.optcc_set_compiler, _COMPILER())
    return library


def _check_abi(library: ctypes.CDLL, path: Path) -> None:
    library.optcc_abi_version.restype = ctypes.c_int32
    found = library.optcc_abi_version()
    if found != _ABI_VERSION:
        raise NativeUnavailableError(
            message(
                f"the native library has ABI version {found}, these Python files need {_ABI_VERSION}",
                str(path),
                "build it again: reinstall optcc; in a checkout, run `cmake --build build`",
            )
        )


def _check_ffi(library: ctypes.CDLL, path: Path) -> None:
    """XLA takes handlers built with its own or older headers; after a newer one it has no CPU backend at all."""
    library.optcc_ffi_version.restype = ctypes.c_int32
    built = library.optcc_ffi_version()
    header = Path(jax.ffi.include_dir(), "xla", "ffi", "api", "c_api.h")
    found = re.findall(r"^#define XLA_FFI_API_(?:MAJOR|MINOR) (\d+)$", header.read_text(), re.MULTILINE)
    major, minor = map(int, found)
    if built > major * 1000 + minor:
        raise NativeUnavailableError(
            message(
                f"the native library was built for version {built // 1000}.{built % 1000} of XLA's FFI, jaxlib "
                f"{version('jaxlib')} has {major}.{minor}",
                str(path),
                "build it again: reinstall optcc; in a checkout, run `cmake --build build --clean-first`",
            )
        )


def _register_with_xla(library: ctypes.CDLL) -> None:
    stages = {
        "instantiate": jax.ffi.pycapsule(library.optcc_sweep_instantiate),
        "execute": jax.ffi.pycapsule(library.optcc_sweep_execute),
    }
    jax.ffi.register_ffi_target(TARGET, stages, platform="cpu")
