"""The text of every error of the native runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optcc.runtime import native
from optcc.runtime.native import library
from tests.native.axpy import inputs, needs_library, run_axpy
from tests.native.kernel_sources import AXPY
from tests.native.kernels import axpy_attributes, call, device, numbers, registered

pytestmark = needs_library


# Attributes and buffers that do not fit

ATTRIBUTES: dict[str, tuple[dict[str, Any], str]] = {
    "no such type": ({"leaves": "two"}, "attribute 'leaves': Wrong attribute type"),
    "negative leaves": ({"leaves": np.int64(-1)}, "attribute 'leaves' is -1"),
    "rank": ({"rank": np.int64(0)}, "attribute 'rank' is 0, expected 1 to 62"),
    "count of dims": ({"dims": numbers(4)}, "attribute 'dims' has 1 numbers, expected 2"),
    "negative dims": ({"dims": numbers(4, -3)}, "attribute 'dims': dimension 0 of leaf 1 is -3"),
    "huge dims": ({"dims": numbers(4, 2**62)}, "attribute 'dims': dimension 0 of leaf 1 is 4611686018427387904"),
    "count of values": ({"value_per_leaf": numbers(0)}, "attribute 'value_per_leaf' has 1 numbers, expected 2"),
    "count of elements": ({"value_element": numbers(0)}, "attribute 'value_element' has 1 numbers, expected 2"),
    "negative element": ({"value_element": numbers(-2, -1)}, "attribute 'value_element': value 0 has the element -2"),
    "element of leaves": ({"value_element": numbers(-1, 0)}, "attribute 'value_element': value 1 has the element 0"),
    "negative after": ({"after": np.int64(-1)}, "attribute 'after' is -1"),
    "count of arrays": ({"array_kept": numbers(1)}, "attribute 'array_kept' has 1 numbers, expected 2"),
    "mask of an array": ({"array_kept": numbers(1, 2)}, "array operand 1 has the mask 2 at rank 1"),
    "count of results": ({"result_kind": numbers(0)}, "attribute 'result_kind' has 1 numbers, expected 5"),
    "kind": ({"result_kind": numbers(0, 0, 1, 1, 7)}, "attribute 'result_kind': result 4 has the kind 7"),
    "stored axes": ({"result_kept": numbers(1, 0, -1, -2, -2)}, "result 1 is stored, but does not keep all dim"),
    "mask of a fold": ({"result_kept": numbers(1, 1, 2, -2, -2)}, "result 2 is folded and has the mask 2 at rank 1"),
    "writes nothing": ({"result_writes": numbers(2, -1, -1, -1, -1)}, "result 0 overwrites array operand 2 of 2"),
    "writes twice": ({"result_writes": numbers(0, 0, -1, -1, -1)}, "two results overwrite array operand 0"),
    "fold writes": ({"result_writes": numbers(0, -1, 0, -1, -1)}, "result 2 is folded and cannot overwrite"),
    "writes another type": ({"array_dtypes": numbers(16, 11)}, "result 0 overwrites array operand 0 of another type"),
    "count of tables": ({"array_packed": numbers(0)}, "attribute 'array_packed' has 1 numbers, expected 2"),
    "table": ({"array_packed": numbers(-1, 2)}, "array operand 1 has the table 2, expected -1 to 1"),
    "negative table": ({"array_packed": numbers(-2, 0)}, "array operand 0 has the table -2, expected -1 to 1"),
    "no offsets": ({"array_packed": numbers(0, -1)}, "attribute 'offsets': Unexpected attribute"),
    "count of offsets": (
        {"array_packed": numbers(-1, 1), "offsets": numbers(0, 4)},
        "attribute 'offsets' has 2 numbers, expected 4",
    ),
    "offsets of nothing": ({"offsets": numbers(0, 4)}, "attribute 'offsets' has 2 numbers, expected 0"),
    "negative offset": (
        {"array_packed": numbers(-1, 0), "offsets": numbers(0, -1)},
        "attribute 'offsets': leaf 1 of array operand 1 starts at element -1",
    ),
    "huge offset": (
        {"array_packed": numbers(-1, 0), "offsets": numbers(2**62, 0)},
        "attribute 'offsets': leaf 0 of array operand 1 starts at element 4611686018427387904",
    ),
    "overlap": (
        {"array_packed": numbers(0, -1), "offsets": numbers(2, 0)},
        "attribute 'offsets': the leaves 0 and 1 of array operand 0 overlap, and a result overwrites it",
    ),
    "fold of integers": ({"result_dtypes": numbers(11, 11, 4, 11, 11)}, "result 2 is folded into S32, expected F16"),
}

BUFFERS: dict[str, tuple[dict[str, Any], str]] = {
    "operands": ({"leaves": np.int64(1), "dims": numbers(4)}, "got 6 operands, expected 4"),
    "results": (
        {
            "result_dtypes": numbers(11),
            "result_kept": numbers(1),
            "result_kind": numbers(0),
            "result_writes": numbers(0),
        },
        "got 7 results, expected 2",
    ),
    "value type": ({"value_dtypes": numbers(10, 11)}, r"operand 0 \(value 0\) has 1 element of F32, expected 1 .* F16"),
    "value size": ({"value_per_leaf": numbers(0, 0)}, r"operand 1 \(value 1\) has 2 elements of F32, expected 1 elem"),
    "operands after": ({"after": np.int64(1)}, "got 6 operands, expected 7"),
    "value element": (
        {"value_per_leaf": numbers(0, 0), "value_element": numbers(-1, 2)},
        r"operand 1 \(value 1\) has 2 elements of F32, expected element 2 of F32",
    ),
    "value element type": (
        {"value_dtypes": numbers(16, 11), "value_element": numbers(0, -1)},
        r"operand 0 \(value 0\) has 1 element of F32, expected element 0 of BF16",
    ),
    "array type": (
        {"array_dtypes": numbers(11, 16)},
        r"operand 4 \(array operand 1, leaf 0\) has 4 elements of F32, expected 4 elements of BF16",
    ),
    "array size": ({"dims": numbers(4, 5)}, r"operand 3 \(array operand 0, leaf 1\) has 3 elements .* expected 5"),
    "result type": (
        {"result_dtypes": numbers(11, 16, 11, 11, 11)},
        r"result 2 \(map result 1, leaf 0\) has 4 elements of F32, expected 4 elements of BF16",
    ),
    "fold size": ({"result_kept": numbers(1, 1, -1, -1, -2)}, r"result 5 \(map result 3\) has 1 element .* expected 2"),
}


@pytest.mark.parametrize("case", ATTRIBUTES)
def test_attributes_are_checked(case: str) -> None:
    changes, text = ATTRIBUTES[case]
    with pytest.raises(jax.errors.JaxRuntimeError, match=f"INVALID_ARGUMENT: .*{text}") as caught:
        run_axpy(kernel=registered(AXPY), **changes)
    assert "optcc_sweep, kernel 'optcc_" in str(caught.value)


@pytest.mark.parametrize("case", BUFFERS)
def test_buffers_are_checked(case: str) -> None:
    changes, text = BUFFERS[case]
    with pytest.raises(jax.errors.JaxRuntimeError, match=f"INVALID_ARGUMENT: .*{text}") as caught:
        run_axpy(kernel=registered(AXPY), **changes)
    assert "optcc_sweep, kernel 'optcc_" in str(caught.value)


PACKED: dict[str, tuple[dict[str, Any], str]] = {
    "operands": ({"array_packed": numbers(0, -1)}, "got 4 operands, expected 5"),
    "type": (
        {"array_dtypes": numbers(11, 16)},
        r"operand 3 \(array operand 1\) has 10 elements of F32, expected BF16",
    ),
    "size": ({"offsets": numbers(3, 8)}, r"operand 2 \(array operand 0\) has 10 elements .* leaf 1 ends at element 11"),
    "size for an empty leaf": (
        {"dims": numbers(4, 0), "offsets": numbers(0, 11)},
        r"operand 2 \(array operand 0\) has 10 elements .* leaf 1 ends at element 11",
    ),
}


@pytest.mark.parametrize("case", PACKED)
def test_packed_buffers_are_checked(case: str) -> None:
    changes, text = PACKED[case]
    with pytest.raises(jax.errors.JaxRuntimeError, match=f"INVALID_ARGUMENT: .*{text}"):
        run_packed(10, {2: 0}, **changes)


def test_size_of_a_packed_result_is_checked() -> None:
    text = r"result 0 \(map result 0\) has 9 elements of F32, expected 10 elements of F32"
    with pytest.raises(jax.errors.JaxRuntimeError, match=text):
        run_packed(9, {})


def test_alias_of_a_packed_result_is_checked() -> None:
    text = r"result 0 \(map result 0\) must overwrite operand 2 \(array operand 0\), but lies in another buffer"
    with pytest.raises(jax.errors.JaxRuntimeError, match=text):
        run_packed(10, {})


def run_packed(size: int, aliases: dict[int, int], **changes: Any) -> None:
    registered(AXPY)
    f32 = jnp.float32
    packing = {"array_packed": numbers(0, 0), "offsets": numbers(0, 5)}
    attributes = axpy_attributes([4, 3], **{**packing, **changes})
    results = [jax.ShapeDtypeStruct(shape, f32) for shape in ((size,), (4,), (3,), (2,), (), ())]
    step = jax.jit(lambda *operands: call(attributes, operands, results, aliases))
    jax.block_until_ready(step(f32(0.1), jnp.ones(2, f32), jnp.ones(10, f32), jnp.ones(10, f32)))


def test_missing_attribute() -> None:
    attributes = axpy_attributes([4])
    del attributes["result_writes"]
    leaf = jax.ShapeDtypeStruct((4,), jnp.float32)
    with pytest.raises(jax.errors.JaxRuntimeError, match="attribute 'result_writes': Unexpected attribute"):
        jax.jit(lambda x: call(attributes, [x], [leaf], {}))(jnp.zeros(4, jnp.float32))


def test_alias_is_checked() -> None:
    """The second leaf's result lies elsewhere."""
    registered(AXPY)
    w, p, g = inputs((4, 3))
    scalar = jax.ShapeDtypeStruct((), jnp.float32)
    arrays = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in p]
    results = [*arrays, *arrays, jax.ShapeDtypeStruct((2,), jnp.float32), scalar, scalar]
    step = jax.jit(lambda *operands: call(axpy_attributes([4, 3]), operands, results, {2: 0}))
    text = r"result 1 \(map result 0, leaf 1\) must overwrite operand 3 \(array operand 0, leaf 1\)"
    with pytest.raises(jax.errors.JaxRuntimeError, match=text):
        jax.block_until_ready(step(jnp.float32(0.1), jnp.array(w), *device(p), *device(g)))


# The library


def test_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_FOLDER", tmp_path)
    assert not native.available()
    assert native.unavailable_reason() == (
        "optcc was installed without its native library: no C++ compiler was found\n"
        f"  where: {tmp_path}\n"
        "  fix:   install g++ or clang++ and then optcc again; in a checkout, run "
        "`cmake -S . -B build && cmake --build build`"
    )
    for use in (lambda: native.register_kernel("k", 1), lambda: native.set_compiler(None)):
        raises_unavailable(use, "installed without its native library")


def raises_unavailable(use: Callable[[], None], text: str) -> None:
    with pytest.raises(native.NativeUnavailableError, match=text):
        use()


def test_broken_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "liboptcc_native.so").write_text("no library")
    monkeypatch.setattr(library, "_FOLDER", tmp_path)
    assert native.unavailable_reason().startswith("the native library cannot be loaded: ")


def test_library_of_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "liboptcc_native.so").touch()
    other: Any = SimpleNamespace(optcc_abi_version=lambda: 999)
    monkeypatch.setattr(library, "_FOLDER", tmp_path)
    monkeypatch.setattr(library.ctypes, "CDLL", lambda path: other)
    raises_unavailable(
        lambda: native.set_compiler(None), r"has ABI version 999, these Python files need \d+\n.*\n  fix:"
    )


def test_library_built_for_a_newer_jaxlib(tmp_path: Path) -> None:
    newer: Any = SimpleNamespace(optcc_ffi_version=lambda: 999)
    raises_unavailable(lambda: library._check_ffi(newer, tmp_path), r"built for version 0\.999 of XLA's FFI, jaxlib \d")
