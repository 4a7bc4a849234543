"""The native runtime: kernels on many leaves, folds, threads, forks, and the text of every error."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optcc.runtime import native
from optcc.runtime.native import library
from tests.native.kernels import (
    AXPY,
    SHAPES,
    SIZES,
    SUM,
    Layout,
    add,
    axes,
    axpy,
    axpy_attributes,
    call,
    compile_kernel,
    device,
    fold_nothing,
    name_of,
    numbers,
    packed_axes,
    packed_axpy,
    per_leaf_sums,
    random_leaves,
    registered,
)

ROOT = Path(__file__).parents[2]

CXX = any(map(shutil.which, (os.environ.get("CXX", "c++"), "g++", "clang++")))

# With a compiler on the machine the library must be there.
pytestmark = pytest.mark.skipif(not CXX and not native.available(), reason=native.unavailable_reason())


@pytest.fixture
def no_compiler() -> Iterator[None]:
    """No compiler at the start of the test, nor after it."""
    native.set_compiler(None)
    yield
    native.set_compiler(None)


def inputs(sizes: tuple[int, ...] = SIZES) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    return random_leaves([len(sizes)], 0)[0], random_leaves(sizes, 1), random_leaves(sizes, 2)


def expected_axpy(lr: float, w: np.ndarray, p: list[np.ndarray], g: list[np.ndarray]) -> tuple[Any, ...]:
    u = [np.float32(lr) * rate * leaf for rate, leaf in zip(w, g, strict=True)]
    sums = [np.sum(leaf.astype(np.float64) ** 2) for leaf in g]
    top = max(np.max(np.abs(leaf), initial=-np.inf) for leaf in g)
    return [a - b for a, b in zip(p, u, strict=True)], u, np.array(sums), np.sum(sums), top


def check_axpy(found: tuple[Any, ...], expected: tuple[Any, ...]) -> None:
    for leaf, other in zip(found[0] + found[1], expected[0] + expected[1], strict=True):
        np.testing.assert_array_equal(leaf, other)
    for fold, other in zip(found[2:], expected[2:], strict=True):
        np.testing.assert_allclose(fold, other, rtol=1e-7)


# Results


def test_many_leaves_scalars_and_folds() -> None:
    registered(AXPY)
    w, p, g = inputs()
    found = jax.jit(axpy)(jnp.float32(0.1), jnp.array(w), device(p), device(g))
    check_axpy(found, expected_axpy(0.1, w, p, g))


def test_donated_leaves_are_overwritten() -> None:
    registered(AXPY)
    w, p, g = inputs()
    leaves = device(p)
    places = [leaf.unsafe_buffer_pointer() for leaf in leaves if leaf.size]
    found = jax.jit(axpy, donate_argnums=2)(jnp.float32(0.1), jnp.array(w), leaves, device(g))
    check_axpy(found, expected_axpy(0.1, w, p, g))
    assert [leaf.unsafe_buffer_pointer() for leaf in found[0] if leaf.size] == places
    assert all(leaf.is_deleted() for leaf in leaves)


def test_leaves_that_are_not_donated_stay() -> None:
    registered(AXPY)
    w, p, g = inputs((10, 100_000))
    leaves = device(p)
    jax.block_until_ready(jax.jit(axpy)(jnp.float32(0.1), jnp.array(w), leaves, device(g)))
    for leaf, other in zip(leaves, p, strict=True):
        np.testing.assert_array_equal(leaf, other)


def test_in_a_loop() -> None:
    registered(AXPY)
    w, p, g = inputs((10, 100_000, 50))

    @jax.jit
    def steps(w: jax.Array, p: list[jax.Array], g: list[jax.Array]) -> list[jax.Array]:
        return jax.lax.fori_loop(0, 10, lambda i, p: axpy(jnp.float32(0.1), w, p, g)[0], p)

    found = steps(jnp.array(w), device(p), device(g))
    for _ in range(10):
        p = expected_axpy(0.1, w, p, g)[0]
    for leaf, other in zip(found, p, strict=True):
        np.testing.assert_array_equal(leaf, other)


def test_folds_over_axes() -> None:
    x, r = random_leaves(SHAPES, 3), random_leaves([shape[:1] for shape in SHAPES], 4)
    new, sums, maxima = jax.jit(axes)(device(x), device(r))
    for i, leaf in enumerate(x):
        np.testing.assert_array_equal(new[i], leaf * r[i][:, None])
        np.testing.assert_allclose(sums[i], np.sum(leaf, axis=0, dtype=np.float64), rtol=1e-7, atol=1e-30)
        np.testing.assert_array_equal(maxima[i], np.max(leaf, axis=1, initial=-np.inf))


@pytest.mark.parametrize("shapes", [SIZES, SHAPES])
def test_fold_along_nothing(shapes: Any) -> None:
    x = random_leaves(shapes, 5)
    for leaf, other in zip(jax.jit(fold_nothing)(device(x)), x, strict=True):
        np.testing.assert_array_equal(leaf, other)


def test_max_of_nan_is_nan() -> None:
    registered(AXPY)
    for place in (0, 99_999):
        w, p, g = inputs((3, 100_000, 50))
        g[1][place] = np.nan
        assert np.isnan(jax.jit(axpy)(jnp.float32(0.1), jnp.array(w), device(p), device(g))[4])


@pytest.mark.parametrize(("kind", "expected"), [(1, 0.0), (2, -np.inf), (3, np.inf)])
def test_fold_over_nothing(kind: int, expected: float) -> None:
    found = jax.jit(lambda x: per_leaf_sums(x, jnp.float32, kind))([jnp.zeros(0, jnp.float32)])
    assert float(found[0]) == expected


def test_no_leaves() -> None:
    registered(AXPY)
    _, _, sums, total, top = jax.jit(axpy)(jnp.float32(0.1), jnp.zeros(0, jnp.float32), [], [])
    assert (sums.shape, float(total), float(top)) == ((0,), 0.0, -np.inf)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_folds_round_once_to_nearest_even(dtype: Any) -> None:
    """Sums of two float32 that lie on a tie, or next to one."""
    info = jnp.finfo(dtype)
    half = 2.0 ** -(info.nmant + 1)
    pairs = [(1.0 + 2 * i * half, half * sign) for i in range(5) for sign in (1, -1)]
    pairs += [(a + b, tiny) for a, b in pairs for tiny in (2.0**-60, -(2.0**-60))] if info.nmant < 20 else []
    pairs += [(a * scale, b * scale) for a, b in pairs for scale in (-1.0, 2.0**-14, 2.0**-20, 2.0**14)]
    pairs += [(float(info.max), float(info.max) * half), (float(info.max), float(info.max) * half * 0.99)]
    pairs += [(np.inf, 0.0), (np.nan, 0.0), (2.0**-24, 2.0**-25), (2.0**-25, 0.0), (2.0**-25, 2.0**-60), (-0.0, 0.0)]
    leaves = [jnp.array(pair, jnp.float32) for pair in pairs]
    found = np.asarray(jax.jit(lambda x: per_leaf_sums(x, dtype))(leaves)).astype(np.float64)
    for value, (a, b) in zip(found, pairs, strict=True):
        exact = float(np.float32(a)) + float(np.float32(b))  # in double, as the kernel adds
        np.testing.assert_array_equal(value, rounded(exact, info), err_msg=f"{a} + {b}")


def rounded(exact: float, info: Any) -> float:
    """The number of the type next to a double, ties to even, by exact arithmetic."""
    if not np.isfinite(exact) or exact == 0:
        return exact
    _, exponent = np.frexp(exact)  # of a significand in [0.5, 1)
    unit = Fraction(2) ** max(int(exponent) - 1 - info.nmant, info.minexp - info.nmant)
    result = round(Fraction(exact) / unit) * unit  # Fraction rounds ties to even
    return float(result) if abs(result) <= Fraction(float(info.max)) else float(np.copysign(np.inf, exact))


# Packed arrays


@pytest.mark.parametrize("packed", ["pg", "p", "g"])
def test_packed_is_like_unpacked(packed: str) -> None:
    registered(AXPY)
    w, p, g = inputs()
    layout = Layout.of(SIZES, 3)
    scalars = jnp.float32(0.1), jnp.array(w)
    expected = jax.jit(axpy)(*scalars, device(p), device(g))
    operands = [jnp.array(layout.pack(x)) if name in packed else device(x) for name, x in (("p", p), ("g", g))]
    found = jax.jit(lambda *args: packed_axpy(*args, layout=layout))(*scalars, *operands)
    new = found[0]
    if "p" in packed:
        new = layout.unpack(found[0])
        np.testing.assert_array_equal(found[0], layout.pack(new), "what is between the leaves")
    for leaf, other in zip(jax.tree.leaves((new, *found[1:])), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(leaf, other)


def test_packed_leaves_of_rank_2() -> None:
    x, r = random_leaves(SHAPES, 3), random_leaves([shape[:1] for shape in SHAPES], 4)
    matrices, rows = Layout.of(SHAPES, 3), Layout.of([shape[:1] for shape in SHAPES], 5)
    step = jax.jit(lambda x, r: packed_axes(x, r, matrices, rows))
    new, *folds = step(jnp.array(matrices.pack(x)), jnp.array(rows.pack(r)))
    leaves = matrices.unpack(new)
    np.testing.assert_array_equal(new, matrices.pack(leaves), "what is between the leaves")
    expected = jax.jit(axes)(device(x), device(r))
    for leaf, other in zip(jax.tree.leaves((leaves, *folds)), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(leaf, other)


def test_donated_packed_leaves_are_overwritten() -> None:
    registered(AXPY)
    w, p, g = inputs()
    layout = Layout.of(SIZES, 3)
    buffer = jnp.array(layout.pack(p))
    place = buffer.unsafe_buffer_pointer()
    step = jax.jit(lambda *args: packed_axpy(*args, layout=layout), donate_argnums=2)
    found = step(jnp.float32(0.1), jnp.array(w), buffer, jnp.array(layout.pack(g)))
    check_axpy((layout.unpack(found[0]), *found[1:]), expected_axpy(0.1, w, p, g))
    assert found[0].unsafe_buffer_pointer() == place
    assert buffer.is_deleted()


def test_some_leaves_of_a_buffer() -> None:
    """Two calls on one buffer, each on some of the leaves, in a loop."""
    registered(AXPY)
    w, p, g = inputs()
    layout = Layout.of(SIZES, 3)
    halves = [Layout(layout.shapes[i::2], layout.offsets[i::2], layout.size) for i in range(2)]

    @jax.jit
    def steps(w: jax.Array, p: jax.Array, g: jax.Array) -> jax.Array:
        def body(_: Any, p: jax.Array) -> jax.Array:
            for i, half in enumerate(halves):
                p = packed_axpy(jnp.float32(0.1), w[i::2], p, g, half)[0]
            return p

        return jax.lax.fori_loop(0, 3, body, p)

    found = steps(jnp.array(w), jnp.array(layout.pack(p)), jnp.array(layout.pack(g)))
    for _ in range(3):
        p = expected_axpy(0.1, w, p, g)[0]
    np.testing.assert_array_equal(found, layout.pack(p))


# The order of the leaves of x and of those of y, and the elements between them.
ORDERS: dict[str, tuple[list[int], list[int], int]] = {
    "all follow each other": ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4], 0),
    "in x only": ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0], 0),
    "some": ([3, 4, 0, 1, 2], [0, 1, 2, 3, 4], 0),
    "none": ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4], 2),
}


@pytest.mark.parametrize("order", ORDERS)
def test_leaves_that_follow_each_other(order: str) -> None:
    x_order, y_order, gap = ORDERS[order]
    sizes = [5, 70_000, 0, 1, 33]
    offsets = [[sum(sizes[j] + gap for j in order[: order.index(i)]) for i in range(5)] for order in (x_order, y_order)]
    layouts = [Layout(tuple((n,) for n in sizes), tuple(starts), sum(sizes) + 5 * gap + 3) for starts in offsets]
    x, y = random_leaves(sizes, 1), random_leaves(sizes, 2)
    operands = [jnp.array(layout.pack(leaves)) for layout, leaves in zip(layouts, (x, y), strict=True)]
    found = jax.jit(lambda x, y: add(x, y, sizes, *offsets))(*operands)
    np.testing.assert_array_equal(found, layouts[0].pack([a + b for a, b in zip(x, y, strict=True)]))


def test_packed_leaves_that_are_read_may_overlap() -> None:
    registered(AXPY)
    w, p, g = inputs((4, 3))
    layout = Layout(((4,), (3,)), (0, 1), 4)
    step = jax.jit(lambda *args: packed_axpy(*args, layout=layout))
    found = step(jnp.float32(0.1), jnp.array(w), device(p), jnp.array(g[0]))
    check_axpy(found, expected_axpy(0.1, w, p, [g[0], g[0][1:]]))


@pytest.mark.parametrize("size", [0, 8])
def test_no_packed_leaves(size: int) -> None:
    registered(AXPY)
    p = jnp.arange(size, dtype=jnp.float32)
    step = jax.jit(lambda *args: packed_axpy(*args, layout=Layout((), (), size)))
    found = step(jnp.float32(0.1), jnp.zeros(0, jnp.float32), p, p)
    np.testing.assert_array_equal(found[0], p)
    assert (found[2].shape, float(found[3]), float(found[4])) == ((0,), 0.0, -np.inf)


# Threads and processes


def python(code: str, **variables: str) -> str:
    """What a new process prints."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, **variables}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_bits_do_not_depend_on_threads() -> None:
    """XLA's pool has as many threads as PJRT_NPROC or NPROC says, else as many as the machine has cores."""
    code = "from tests.native.kernels import digest; print(digest())"
    digests = {python(code, PJRT_NPROC=threads, NPROC=threads) for threads in ("1", "2", "4")}
    assert len(digests) == 1


def test_several_python_threads() -> None:
    registered(AXPY)
    step = jax.jit(axpy)
    w, p, g = inputs((10, 200_000, 33))
    rates = [i / 8 for i in range(1, 9)]

    def run(rate: float) -> list[tuple[Any, ...]]:
        return [jax.block_until_ready(step(jnp.float32(rate), jnp.array(w), device(p), device(g))) for _ in range(5)]

    with ThreadPoolExecutor(len(rates)) as pool:
        for rate, results in zip(rates, pool.map(run, rates), strict=True):
            for found in results:
                check_axpy(found, expected_axpy(rate, w, p, g))


FORK = """
import os, warnings
import jax, jax.numpy as jnp, numpy as np
from tests.native.kernels import SUM, device, per_leaf_sums, random_leaves, registered

warnings.simplefilter("ignore")  # JAX advises against forks

@jax.jit
def sums(leaves):
    return per_leaf_sums(leaves, jnp.float32)

registered(SUM)
{before}
child = os.fork()
if not child:
    {run}
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
{run}
print("ok")
"""


def test_fork_before_the_first_call() -> None:
    run = "jax.block_until_ready(sums(device(random_leaves((10, 300_000), 1))))"
    assert python(FORK.format(before="", run=run)) == "ok\n"


def test_fork_after_a_call() -> None:
    """The child's pool has no threads, and the caller does all of the work."""
    before = "leaves = device(random_leaves((10, 300_000), 1)); first = np.asarray(sums(leaves))"
    run = "np.testing.assert_array_equal(sums(leaves), first)"
    assert python(FORK.format(before=before, run=run)) == "ok\n"


def test_stress(tmp_path: Path) -> None:
    """The work sharing and whole sweeps under many callers; CMakeLists.txt says how to run them under sanitizers."""
    cmake = shutil.which("cmake")
    if not cmake or not CXX or not (ROOT / "CMakeLists.txt").exists():
        pytest.skip("needs cmake, a C++ compiler and the checkout")
    quiet: dict[str, Any] = {"check": True, "stdout": subprocess.DEVNULL}
    subprocess.run([cmake, "-S", ROOT, "-B", tmp_path, f"-DOPTCC_PYTHON={sys.executable}"], **quiet)
    for program in ("native_stress", "native_sweep_stress"):
        subprocess.run([cmake, "--build", tmp_path, "--parallel", "2", "--target", program], **quiet)
        subprocess.run([tmp_path / "tests" / "native" / program], timeout=120, **quiet)


# Kernels that are not registered


def fresh(source: str, mark: str) -> str:
    """The same kernel under a name of its own."""
    return f"; {mark}\n{source}"


def run_axpy(**changes: Any) -> Any:
    w, p, g = inputs((4, 3))
    step = jax.jit(lambda lr, w, p, g: axpy(lr, w, p, g, **changes))
    return jax.block_until_ready(step(jnp.float32(0.1), jnp.array(w), device(p), device(g)))


@pytest.mark.usefixtures("no_compiler")
def test_missing_kernel_is_compiled_once() -> None:
    compiled = []

    def compiler(name: str, source: str) -> int:
        compiled.append(name)
        return compile_kernel(name, source)

    source = fresh(AXPY, "compiled once")
    native.set_compiler(compiler)
    w, p, g = inputs((4, 3))
    for _ in range(2):
        check_axpy(run_axpy(kernel=name_of(source), source=source), expected_axpy(0.1, w, p, g))
    assert compiled == [name_of(source)]


@pytest.mark.usefixtures("no_compiler")
def test_missing_kernel_in_several_threads() -> None:
    source = fresh(AXPY, "several threads")
    native.set_compiler(compile_kernel)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: run_axpy(kernel=name_of(source), source=source), range(4)):
            check_axpy(found, expected_axpy(0.1, *inputs((4, 3))))


@pytest.mark.usefixtures("no_compiler")
def test_missing_kernel_without_compiler() -> None:
    with pytest.raises(jax.errors.JaxRuntimeError, match=r"kernel 'absent' is not in .* no compiler is set"):
        run_axpy(kernel="absent")


@pytest.mark.usefixtures("no_compiler")
def test_missing_kernel_that_does_not_compile() -> None:
    def compiler(name: str, source: str) -> int:
        raise ValueError("expected top-level entity" + "!" * 2000)

    native.set_compiler(compiler)
    with pytest.raises(jax.errors.JaxRuntimeError, match=r"'absent' .* ValueError: expected top-level entity!!"):
        run_axpy(kernel="absent")


def test_first_registration_stays() -> None:
    name = registered(AXPY)
    native.register_kernel(name, compile_kernel(name, SUM))
    check_axpy(run_axpy(), expected_axpy(0.1, *inputs((4, 3))))


def test_null_is_not_registered() -> None:
    with pytest.raises(ValueError, match="kernel 'nothing': the address is null"):
        native.register_kernel("nothing", 0)


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
