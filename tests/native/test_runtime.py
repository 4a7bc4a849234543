"""The native runtime: kernels on many leaves, folds, and packed arrays."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.native.axpy import check_axpy, expected_axpy, inputs, needs_library
from tests.native.kernel_sources import AXPY
from tests.native.kernels import (
    SHAPES,
    SIZES,
    Layout,
    add,
    axes,
    axpy,
    device,
    fold_nothing,
    packed_axes,
    packed_axpy,
    per_leaf_sums,
    random_leaves,
    registered,
)

pytestmark = needs_library


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
