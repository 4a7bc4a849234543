"""Shapes from the headers of files; no array is loaded."""

from __future__ import annotations

import lzma
import math
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import jax
import numpy as np

from optcc.errors import ParamsError, message
from optcc.params.leaf import DTYPES, exists, leaf

_SAFETENSORS_DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "F64": "float64"}
_DAMAGED = (
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    LookupError,
    UnicodeError,
    OverflowError,
    struct.error,
)
"""What zipfile and the libraries that it decompresses with raise, besides BadZipFile."""
_TRAINABLE = "save the trainable parameters only, without buffers such as counters and masks"


def read_safetensors(file: str) -> dict[str, jax.ShapeDtypeStruct]:
    """Names and shapes from the header of a .safetensors file. Raises ParamsError."""
    from safetensors import SafetensorError, safe_open

    _check_file(file)
    found: dict[str, jax.ShapeDtypeStruct] = {}
    try:
        with safe_open(file, framework="numpy") as tensors:  # maps the file; a slice that is not indexed reads nothing
            for name in tensors.keys():  # noqa: SIM118 - not a mapping
                header = tensors.get_slice(name)
                dtype = header.get_dtype()
                if dtype not in _SAFETENSORS_DTYPES:
                    raise _not_float(file, name, dtype, tuple(_SAFETENSORS_DTYPES))
                found[name] = leaf(header.get_shape(), _SAFETENSORS_DTYPES[dtype], f"{file}, tensor '{name}'")
    except SafetensorError as error:
        what = f"not a .safetensors file, or a truncated one: {error}"
        raise ParamsError(message(what, file, "write it again with safetensors' save_file")) from None
    except OSError as error:
        raise _unreadable(file, error) from None
    return found


def read_npz(file: str) -> dict[str, jax.ShapeDtypeStruct]:
    """Names and shapes from the headers of the arrays in a .npz file. Raises ParamsError."""
    _check_file(file)
    found: dict[str, jax.ShapeDtypeStruct] = {}
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                with archive.open(member) as stream:
                    shape, dtype = _npy_header(stream, member.file_size)
                if dtype.name not in DTYPES:
                    raise _not_float(file, name, str(dtype), DTYPES)
                found[name] = leaf(shape, dtype.name, f"{file}, array '{name}'")
    except (zipfile.BadZipFile, *_DAMAGED) as error:
        what = f"not a .npz file, or a truncated one: {error or type(error).__name__}"
        raise ParamsError(message(what, file, "write it again with numpy.savez")) from None
    except OSError as error:
        raise _unreadable(file, error) from None
    if not found:
        raise ParamsError(message("the file holds no arrays", file, "write it with numpy.savez"))
    return found


def _npy_header(stream: IO[bytes], size: int) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype of an array in numpy's format, `size` bytes in all."""
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
    except OSError:
        raise
    except Exception as error:  # numpy evaluates the header as Python; damaged ones raise errors of many classes
        what = " ".join((str(error) or type(error).__name__).split())
        raise zipfile.BadZipFile(f"the header of an array: {what[:200]}") from None
    if any(not isinstance(n, int) or n < 0 for n in shape):
        raise zipfile.BadZipFile(f"an array of shape {shape}")
    if not dtype.hasobject and stream.tell() + math.prod(shape) * dtype.itemsize != size:
        raise zipfile.BadZipFile("the size of an array is not that of its shape")
    return shape, dtype


def _not_float(file: str, name: str, dtype: str, known: tuple[str, ...]) -> ParamsError:
    raw = dtype.startswith(("|V", "V"))
    fix = "numpy cannot name bfloat16 in a file; use a .safetensors file" if raw else _TRAINABLE
    return ParamsError(message(f"'{name}' has dtype {dtype}, but a parameter is one of {', '.join(known)}", file, fix))


def _check_file(file: str) -> None:
    path = Path(file)
    if not exists(file):
        raise ParamsError(message("no such file", file, "check the path, or name a preset (`optcc list params`)"))
    if not path.is_file():
        raise ParamsError(message("not a file", file, "give a .safetensors or .npz file"))


def _unreadable(file: str, error: OSError) -> ParamsError:
    return ParamsError(message(f"cannot read the file: {error.strerror or error}", file))
