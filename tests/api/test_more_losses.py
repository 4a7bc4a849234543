"""The losses that Optax 0.2.8 added: values and gradients against it, edges against the mathematics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from optcc import losses

RNG = np.random.default_rng(7)
SCORES = RNG.normal(size=(4, 5)) * 3
SHARES = RNG.dirichlet(np.ones(5), size=4)
LABELS = np.array([0, 4, 2, 2])
SIGNS = np.where(RNG.random((4, 5)) < 0.5, -1.0, 1.0)
MASK = np.array([[1, 1, 0, 1, 1], [1, 0, 0, 0, 1], [1, 1, 1, 1, 1], [0, 0, 1, 1, 0]], bool)
IMAGES = RNG.normal(size=(2, 3, 4, 3))
REGIONS = np.eye(3)[RNG.integers(0, 3, size=(2, 3, 4))]
PROBABILITIES = np.exp(IMAGES) / np.exp(IMAGES).sum(-1, keepdims=True)
OTHERS = RNG.normal(size=(2, 4, 5))

Call = Callable[[Any, Any], Any]
CALLS: dict[str, tuple[Call, Any]] = {
    "perceptron": (lambda lib, x: lib.perceptron_loss(x, SIGNS.astype(x.dtype)), SCORES),
    "sparsemax": (lambda lib, x: lib.sparsemax_loss(x, SIGNS > 0), SCORES),
    "multiclass_hinge": (lambda lib, x: lib.multiclass_hinge_loss(x, LABELS), SCORES),
    "multiclass_perceptron": (lambda lib, x: lib.multiclass_perceptron_loss(x, LABELS), SCORES),
    "multiclass_sparsemax": (lambda lib, x: lib.multiclass_sparsemax_loss(x, LABELS), SCORES / 3),
    "fenchel_young": (lambda lib, x: lib.make_fenchel_young_loss(jax.nn.logsumexp)(x, SHARES.astype(x.dtype)), SCORES),
    "safe_softmax": (lambda lib, x: lib.safe_softmax_cross_entropy(x, SHARES.astype(x.dtype)), SCORES),
    "focal": (lambda lib, x: lib.sigmoid_focal_loss(x, SIGNS > 0), SCORES),
    "focal_weighted": (lambda lib, x: lib.sigmoid_focal_loss(x, SHARES, alpha=0.3, gamma=0.7), SCORES),
    "poly": (lambda lib, x: lib.poly_loss_cross_entropy(x, SHARES.astype(x.dtype), epsilon=-1.0), SCORES),
    "poly_axis_where": (
        lambda lib, x: lib.poly_loss_cross_entropy(x, SHARES.astype(x.dtype), axis=0, where=jnp.asarray(MASK)),
        SCORES,
    ),
    "ranking": (lambda lib, x: lib.ranking_softmax_loss(x, jnp.asarray(SHARES)), SCORES),
    "ranking_where_sum": (
        lambda lib, x: lib.ranking_softmax_loss(
            x, jnp.asarray(SHARES), where=jnp.asarray(MASK), weights=jnp.asarray(2 - SHARES), reduce_fn=jnp.sum
        ),
        SCORES,
    ),
    "ranking_where_mean": (
        lambda lib, x: lib.ranking_softmax_loss(x, jnp.asarray(SHARES), where=jnp.asarray(MASK)),
        SCORES,
    ),
    "ranking_each": (lambda lib, x: lib.ranking_softmax_loss(x, jnp.asarray(SHARES), reduce_fn=None), SCORES),
    "kl_log_targets": (lambda lib, x: lib.kl_divergence_with_log_targets(x, jnp.log(SHARES.astype(x.dtype))), SCORES),
    "kl_log_targets_where": (
        lambda lib, x: lib.kl_divergence_with_log_targets(x, jnp.log(SHARES.astype(x.dtype)), 0, jnp.asarray(MASK)),
        SCORES,
    ),
    "generalized_kl": (lambda lib, x: lib.generalized_kl_divergence(x, SHARES.astype(x.dtype)), SCORES),
    "ntxent": (lambda lib, x: lib.ntxent(x, jnp.asarray(LABELS), 0.3), SCORES),
    "triplet": (lambda lib, x: lib.triplet_margin_loss(x, *OTHERS.astype(x.dtype), margin=1.5), SCORES),
    "triplet_axis": (lambda lib, x: lib.triplet_margin_loss(x, *OTHERS.astype(x.dtype), axis=0, norm_degree=4), SCORES),
    "dice": (lambda lib, x: lib.dice_loss(x, jnp.asarray(REGIONS), smooth=0.1, alpha=0.3, beta=0.8), IMAGES),
    "dice_options": (
        lambda lib, x: lib.dice_loss(
            x, jnp.asarray(REGIONS), class_weights=jnp.arange(3.0), reduction="none", ignore_background=True, axis=2
        ),
        IMAGES,
    ),
    "dice_sum": (lambda lib, x: lib.dice_loss(x, jnp.asarray(REGIONS), reduction="sum"), IMAGES),
    "generalized_dice": (lambda lib, x: lib.multiclass_generalized_dice_loss(x, jnp.asarray(REGIONS)), IMAGES),
    "binary_dice": (lambda lib, x: lib.binary_dice_loss(x, jnp.asarray(REGIONS[..., 0])), IMAGES[..., 0]),
    "binary_dice_last_axis": (lambda lib, x: lib.binary_dice_loss(x, jnp.asarray(REGIONS[..., :1])), IMAGES[..., :1]),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("dtype", [jnp.float32, pytest.param(jnp.float64, marks=pytest.mark.exhaustive)])
def test_value_and_gradient_equal_optax(name: str, dtype: Any):
    call, given = CALLS[name]
    with jax.enable_x64(dtype == jnp.float64):
        x = jnp.asarray(given, dtype)
        ours, theirs = (jax.jit(lambda x, lib=lib: call(lib, x))(x) for lib in (losses, optax.losses))
        assert ours.shape == theirs.shape
        assert ours.dtype == dtype or "focal_weighted" in name
        slopes = [jax.grad(lambda x, lib=lib: jnp.sum(jnp.sin(call(lib, x))))(x) for lib in (losses, optax.losses)]
        rtol = 2e-5 if dtype == jnp.float32 else 1e-12
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol)
        np.testing.assert_allclose(*slopes, rtol=rtol, atol=rtol)


def test_probabilities_instead_of_logits():
    with jax.enable_x64(True):
        x, t = jnp.asarray(IMAGES), jnp.asarray(REGIONS)
        p = jnp.asarray(PROBABILITIES)
        np.testing.assert_allclose(losses.dice_loss(p, t, apply_softmax=False), losses.dice_loss(x, t))
        binary = losses.binary_dice_loss(jax.nn.sigmoid(x[..., 0]), t[..., 0], apply_sigmoid=False)
        np.testing.assert_allclose(binary, losses.binary_dice_loss(x[..., 0], t[..., 0]))


# Edges: the right value is known, Optax's is NaN or another one


def finite(call: Callable[[Any], Any], x: Any) -> tuple[Any, Any]:
    """Value and gradient, both without a NaN."""
    value, slope = call(x), jax.grad(lambda x: jnp.sum(call(x)))(x)
    assert not np.isnan(value).any()
    assert not np.isnan(slope).any()
    return value, slope


def test_triplets_of_odd_degree_have_a_distance():
    """Optax sums the signed differences, whose power has no root."""
    x = jnp.array([0.25, 1.5])
    value, slope = finite(lambda x: losses.triplet_margin_loss(x, jnp.ones(2), jnp.zeros(2), norm_degree=1, eps=0.0), x)
    assert value == 0.5
    np.testing.assert_array_equal(slope, [-2, 0])
    assert float(optax.losses.triplet_margin_loss(x, jnp.ones(2), jnp.zeros(2), norm_degree=1, eps=0.0)) == 0.0


def test_embeddings_without_pairs_or_without_others():
    x = jnp.asarray(SCORES, jnp.float32)
    for labels in (jnp.arange(4), jnp.zeros(4, jnp.int32)):
        value, slope = finite(lambda x, labels=labels: losses.ntxent(x, labels), x)
        assert value == 0
        np.testing.assert_array_equal(slope, 0)


def test_lists_without_items():
    x, t = jnp.asarray(SCORES, jnp.float32), jnp.asarray(SHARES, jnp.float32)
    where = jnp.asarray(MASK).at[1].set(False)
    value, slope = finite(lambda x: losses.ranking_softmax_loss(x, t, where=where), x)
    rows = jnp.array([0, 2, 3])
    np.testing.assert_allclose(value, losses.ranking_softmax_loss(x[rows], t[rows], where=where[rows]), rtol=1e-6)
    np.testing.assert_array_equal(slope[1], 0)
    value, _ = finite(lambda x: losses.ranking_softmax_loss(x, t, where=jnp.zeros_like(where)), x)
    assert value == 0
    each = losses.ranking_softmax_loss(x, t, where=where, reduce_fn=None)
    assert each.shape == (4,)
    assert each[1] == 0


def test_what_is_masked_may_be_nan():
    x = jnp.where(MASK, jnp.asarray(SCORES, jnp.float32), jnp.nan)
    t = jnp.where(MASK, jnp.asarray(SHARES, jnp.float32), jnp.nan)
    for call in (
        lambda x: losses.ranking_softmax_loss(x, t, where=jnp.asarray(MASK)),
        lambda x: losses.poly_loss_cross_entropy(x, t, where=jnp.asarray(MASK)),
        lambda x: losses.kl_divergence_with_log_targets(x, t, where=jnp.asarray(MASK)),
    ):
        _, slope = finite(call, x)
        np.testing.assert_array_equal(slope[~MASK], 0)


def test_impossible_classes():
    x = jnp.array([0.5, -jnp.inf, 1.0])
    t = jnp.array([0.25, 0.0, 0.75])
    value, slope = finite(lambda x: losses.safe_softmax_cross_entropy(x, t), x)
    short = jnp.array([0, 2])
    np.testing.assert_allclose(value, losses.softmax_cross_entropy(x[short], t[short]), rtol=1e-6)
    assert slope[1] == 0
    value, _ = finite(lambda x: losses.kl_divergence_with_log_targets(x, jnp.log(t)), x)
    np.testing.assert_allclose(value, losses.kl_divergence(x[short], t[short]), rtol=1e-6)
    value, _ = finite(lambda x: losses.multiclass_sparsemax_loss(x, jnp.int32(2)), x)
    np.testing.assert_allclose(value, losses.multiclass_sparsemax_loss(x[short], jnp.int32(1)), rtol=1e-6)


@pytest.mark.parametrize("x", [-1e4, 1e4])
@pytest.mark.parametrize("label", [0.0, 1.0])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_of_large_logits(x: float, label: float, gamma: float):
    value, _ = finite(lambda x: losses.sigmoid_focal_loss(x, label, gamma=gamma), jnp.float32(x))
    assert value == (1e4 if (x > 0) != (label > 0) else 0.0)


REFUSED: dict[str, tuple[Callable[[], Any], Any, str]] = {
    "perceptron": (lambda: losses.perceptron_loss(jnp.ones(3), jnp.ones((3, 1))), ValueError, "targets (3, 1)"),
    "hinge_labels": (lambda: losses.multiclass_hinge_loss(jnp.ones(3), jnp.ones(())), TypeError, "integer dtype"),
    "hinge_shape": (lambda: losses.multiclass_hinge_loss(jnp.ones((2, 3)), jnp.ones(3, int)), ValueError, "shape (2,)"),
    "poly": (lambda: losses.poly_loss_cross_entropy(jnp.ones(3), jnp.ones(3, int)), TypeError, "floating-point dtype"),
    "focal": (lambda: losses.sigmoid_focal_loss(jnp.ones(3, int), jnp.ones(3)), TypeError, "floating-point dtype"),
    "ntxent": (lambda: losses.ntxent(jnp.ones((3, 2)), jnp.ones(2, int)), ValueError, "(3, 2) and (2,)"),
    "dice_shape": (lambda: losses.dice_loss(jnp.ones((2, 3)), jnp.ones((2, 4))), ValueError, "targets (2, 4)"),
    "dice_sums": (
        lambda: losses.dice_loss(jnp.ones((2, 3, 2)), jnp.ones((2, 3, 2)), apply_softmax=False),
        ValueError,
        "must be valid probability distributions",
    ),
    "dice_reduction": (
        lambda: losses.dice_loss(jnp.ones((2, 3, 2)), jnp.ones((2, 3, 2)), reduction="median"),
        ValueError,
        "Unsupported reduction: median",
    ),
    "dice_weights": (
        lambda: losses.dice_loss(jnp.ones((2, 3, 2)), jnp.ones((2, 3, 2)), class_weights=jnp.ones((1, 2))),
        ValueError,
        "class_weights must have shape (classes,)",
    ),
    "generalized_dice": (
        lambda: losses.multiclass_generalized_dice_loss(jnp.ones((2, 3)), jnp.ones((2, 1))),
        ValueError,
        "targets (2, 1)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str):
    call, error, text = REFUSED[name]
    with pytest.raises(error) as caught:
        call()
    assert text in str(caught.value)
