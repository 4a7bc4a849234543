"""Parameter shapes from files, of which only headers are read, and the text of every error."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from optcc.params import load_params
from tests.cli.shapes import refusal, shape


def test_safetensors(tmp_path: Path) -> None:
    file = str(tmp_path / "model.safetensors")
    arrays = {f"a.{d}": np.zeros((2, 3), jnp.dtype(d)) for d in ("float32", "bfloat16", "float16", "float64")}
    save_file({**arrays, "scalar": np.zeros((), np.float32)}, file)
    expected = {f"a.{d}": shape(2, 3, dtype=d) for d in ("float32", "bfloat16", "float16", "float64")}
    assert load_params(file) == {**expected, "scalar": shape()}


def test_safetensors_reads_the_header_only(tmp_path: Path) -> None:
    file = tmp_path / "large.safetensors"
    size = 1 << 36
    header = json.dumps({"w": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}}).encode()
    file.write_bytes(struct.pack("<Q", len(header)) + header)
    os.truncate(file, 8 + len(header) + size)
    assert load_params(str(file)) == {"w": shape(size // 4)}


def test_npz_reads_headers_only(tmp_path: Path) -> None:
    file = tmp_path / "params.npz"
    marker = np.full(1 << 16, 1.25, np.float32)
    np.savez(file, **{"layer/w": marker, "b": np.zeros((), np.float64), "f": np.asfortranarray(np.ones((2, 3)))})
    file.write_bytes(file.read_bytes().replace(marker.tobytes(), bytes(marker.nbytes)))  # its checksum is now wrong
    assert load_params(str(file)) == {
        "layer/w": shape(1 << 16),
        "b": shape(dtype="float64"),
        "f": shape(2, 3, dtype="float64"),
    }


def test_file_that_is_missing(tmp_path: Path) -> None:
    for name in ("no.npz", "no.safetensors"):
        file = str(tmp_path / name)
        fix = "check the path, or name a preset (`optcc list params`)"
        assert refusal(file) == f"no such file\n  where: {file}\n  fix:   {fix}"


def test_file_of_another_kind(tmp_path: Path) -> None:
    text = tmp_path / "model.txt"
    text.write_text("hello")
    assert refusal(str(text)) == f"not a parameter file\n  where: {text}\n  fix:   give a .safetensors or .npz file"
    folder = tmp_path / "folder.npz"
    folder.mkdir()
    assert refusal(str(folder)) == f"not a file\n  where: {folder}\n  fix:   give a .safetensors or .npz file"


@pytest.mark.parametrize("content", ["empty", "half", "one byte short", "text"])
def test_safetensors_that_is_truncated(tmp_path: Path, content: str) -> None:
    file = tmp_path / "bad.safetensors"
    save_file({"w": np.zeros((100,), np.float32)}, str(file))
    whole = file.read_bytes()
    parts = {"empty": b"", "half": whole[: len(whole) // 2], "one byte short": whole[:-1], "text": b"hello world" * 9}
    file.write_bytes(parts[content])
    lines = refusal(str(file)).splitlines()
    assert lines[0].startswith("not a .safetensors file, or a truncated one: ")
    assert lines[1:] == [f"  where: {file}", "  fix:   write it again with safetensors' save_file"]


@pytest.mark.parametrize("content", ["empty", "half", "text", "foreign zip", "other size"])
def test_npz_that_is_truncated(tmp_path: Path, content: str) -> None:
    file = tmp_path / "bad.npz"
    np.savez(file, w=np.zeros(100, np.float32))
    whole = file.read_bytes()
    foreign = whole.replace(b"\x93NUMPY", b"\x93NUMBY")
    parts = {"empty": b"", "half": whole[: len(whole) // 2], "text": b"hello world" * 9, "foreign zip": foreign}
    with zipfile.ZipFile(file) as archive:
        member = archive.read("w.npy")[:-4]
    short = io.BytesIO()
    with zipfile.ZipFile(short, "w") as archive:
        archive.writestr("w.npy", member)
    parts["other size"] = short.getvalue()
    file.write_bytes(parts[content])
    lines = refusal(str(file)).splitlines()
    assert lines[0].startswith("not a .npz file, or a truncated one: ")
    assert lines[1:] == [f"  where: {file}", "  fix:   write it again with numpy.savez"]


def test_npz_without_arrays(tmp_path: Path) -> None:
    file = tmp_path / "none.npz"
    np.savez(file)
    assert refusal(str(file)).startswith("the file holds no arrays\n")


def test_file_with_arrays_that_are_no_floats(tmp_path: Path) -> None:
    counters = tmp_path / "counters.safetensors"
    save_file({"steps": np.zeros((), np.int64)}, str(counters))
    assert refusal(str(counters)) == (
        f"'steps' has dtype I64, but a parameter is one of F32, F16, BF16, F64\n  where: {counters}\n"
        "  fix:   save the trainable parameters only, without buffers such as counters and masks"
    )
    raw = tmp_path / "raw.npz"
    np.savez(raw, w=np.zeros(3, jnp.bfloat16))
    assert refusal(str(raw)) == (
        f"'w' has dtype |V2, but a parameter is one of float32, bfloat16, float16, float64\n  where: {raw}\n"
        "  fix:   numpy cannot name bfloat16 in a file; use a .safetensors file"
    )
