"""Damaged parameter files and texts of `--params`."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from optcc.errors import ParamsError
from optcc.params import load_params

_TEXTS = ("[", "]", "{", "}", '"', ":", ",", "-1", "0", "1e9", "null", str(2**60), "é", "\0", "shape", "/", ".npz")


def npz(header: bytes | None = None, *, method: int = zipfile.ZIP_STORED) -> bytes:
    """A parameter file of two arrays, or of one with a header of one's own."""
    buffer = io.BytesIO()
    arrays = {"w": np.ones((2, 3), np.float32), "b": np.ones(3, np.float32)}
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, array in arrays.items():
            one = io.BytesIO()
            np.save(one, array)
            data = (
                one.getvalue() if header is None else b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
            )
            archive.writestr(f"{name}.npy", data)
    return buffer.getvalue()


HEADERS = (
    b"", b"{", b"[]\n", b"{'descr': '<f4'}\n", b"\xff\xfe\n", b"(" * 3000 + b"\n", b"9" * 5000 + b"\n",
    *(
        f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
        for descr, shape in (
            ("'<f4'", "(2.5,)"), ("'<f4'", "(-1,)"), ("'<f4'", "3"), ("'<f4'", "(True,)"), ("'<f4'", "(10**99,)"),
            ("'<f4'", f"({2**62}, 4)"), ("'<f4'", "('a',)"), ("'|O'", "(3,)"), ("[('a', '<f4')]", "(3,)"),
            ("'nonsense'", "(3,)"), ("None", "(3,)"), ("('<f4', (2,))", "(3,)"), ("'<f4'", "(1/0,)"), ("{}", "(3,)"),
        )
    ),
)  # fmt: skip
"""Headers of arrays that are none."""


def damaged_file(number: int) -> tuple[str, bytes]:
    """The suffix and the bytes of a file with one to four places damaged."""
    rng = random.Random(number)
    if rng.random() < 0.2:
        return ".npz", npz(rng.choice(HEADERS))
    if rng.random() < 0.6:
        suffix, data = ".npz", bytearray(npz(method=rng.choice((0, 8, 12, 14))))
    else:
        suffix, data = ".safetensors", bytearray(save({"w": np.ones((2, 3), np.float32), "b": np.ones(3, np.float32)}))
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(data))
        kind = rng.randrange(4)
        if kind == 0:
            data[at] = rng.randrange(256)
        elif kind == 1:
            del data[at:]
            data = data or bytearray(b"\0")
        elif kind == 2:
            del data[at : at + rng.randrange(1, 20)]
            data = data or bytearray(b"\0")
        else:
            data[at:at] = rng.randbytes(rng.randrange(1, 20))
    return suffix, bytes(data)


def damaged_params(number: int) -> str:
    """A text for `--params` that is mostly none."""
    rng = random.Random(number)
    if rng.random() < 0.1:
        return rng.choice(("a", "a/", "a.", ":", "[")) * rng.randrange(300, 5000) + rng.choice(("", ".npz", ":a"))
    parts = list('{"w": [3, 4], "b": {"shape": [4], "dtype": "bfloat16"}}')
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(parts))
        parts[at : at + rng.randrange(3)] = [rng.choice(_TEXTS)]
    return "".join(parts)


def failure_of_file(data: bytes, suffix: str, folder: Path) -> str | None:
    """A file is read, or refused with an error of the user that names it."""
    file = folder / f"damaged{suffix}"
    file.write_bytes(data)
    return failure_of_params(str(file))


def failure_of_params(text: str) -> str | None:
    """Parameters are read, or refused with an error of the user."""
    try:
        load_params(text)
    except ParamsError:
        return None
    except Exception as error:
        return f"params: {type(error).__name__}: {str(error)[:80]}"
    return None
