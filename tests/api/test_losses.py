"""Losses against Optax, and where Optax is not finite or not defined, against the mathematics."""

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from optcc import losses

ELEMENTWISE = ["squared_error", "l2_loss", "huber_loss", "log_cosh", "hinge_loss", "sigmoid_binary_cross_entropy"]
ALONG_AXIS = [
    "cosine_similarity",
    "cosine_distance",
    "kl_divergence",
    "convex_kl_divergence",
    "softmax_cross_entropy",
]
INTEGER_LABELS = "softmax_cross_entropy_with_integer_labels"
TOLERANCE = {jnp.float32: 3e-6, jnp.bfloat16: 3e-2}


def oracle(name: str, *args: Any, **kwargs: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # convex_kl_divergence has a new name there
        return getattr(optax, name)(*args, **kwargs)


def ours(name: str, *args: Any, **kwargs: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return getattr(losses, name)(*args, **kwargs)


def pair(shape: tuple[int, ...], dtype: Any = jnp.float32) -> tuple[jax.Array, jax.Array]:
    """Predictions of either sign and targets that are distributions along the last axis."""
    rng = np.random.default_rng(0)
    targets = rng.random(shape) + 0.05
    return jnp.asarray(rng.normal(size=shape), dtype), jnp.asarray(targets / targets.sum(-1, keepdims=True), dtype)


def assert_same(name: str, args: tuple[Any, ...], cases: list[dict[str, Any]], tolerance: float = 3e-6) -> None:
    """Value, dtype and gradients by every floating argument equal those of Optax, for each set of keywords."""
    floating = [i for i, a in enumerate(args) if jnp.issubdtype(jnp.result_type(a), jnp.floating)]

    def value_and_gradients(f: Callable[..., Any], kwargs: dict[str, Any], *args: jax.Array) -> Any:
        def total(*args: jax.Array) -> tuple[jax.Array, jax.Array]:
            value = f(name, *args, **kwargs)
            return value.astype(jnp.float32).sum(), value

        return jax.grad(total, argnums=floating, has_aux=True)(*args)

    @jax.jit  # one compilation for all cases: op by op, each would cost a second
    def both(*args: jax.Array) -> Any:
        return [[value_and_gradients(f, kwargs, *args) for kwargs in cases] for f in (ours, oracle)]

    for got, want in zip(*(jax.tree.leaves(side) for side in both(*args)), strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ELEMENTWISE + ALONG_AXIS)
def test_matches_optax(name: str) -> None:
    for dtype, tolerance in TOLERANCE.items():
        assert_same(name, pair((3, 5), dtype), [{}], tolerance)


@pytest.mark.parametrize("name", ALONG_AXIS)
def test_axis_matches_optax(name: str) -> None:
    assert_same(name, pair((2, 3, 4)), [{"axis": axis} for axis in (1, (0, -1))])


MASK = np.array([[True, False, True, True], [True, True, False, False], [False, True, True, True]])


MASKED = [{"axis": axis, "where": MASK} for axis in (-1, None)]


@pytest.mark.parametrize("name", ALONG_AXIS)
def test_where_matches_optax(name: str) -> None:
    predictions, targets = pair((3, 4))
    if name != "softmax_cross_entropy":
        assert_same(name, (predictions, targets), MASKED)
        return
    # For a masked label Optax has an infinite gradient, we have zero: compare with the labels held constant.
    assert_same(name, (predictions,), [{"labels": targets, **case} for case in MASKED])


@pytest.mark.parametrize("name", ALONG_AXIS)
def test_nothing_leaks_through_where(name: str) -> None:
    """A NaN behind the mask, or a row that is masked altogether, reaches no value and no gradient."""
    predictions, targets = pair((3, 4))
    mask = MASK & np.array([[True], [True], [False]])

    @jax.jit
    def run(p: jax.Array, t: jax.Array) -> Any:
        def total(p: jax.Array, t: jax.Array) -> tuple[jax.Array, jax.Array]:
            value = ours(name, p, t, where=mask)
            return value.sum(), value

        return jax.grad(total, argnums=(0, 1), has_aux=True)(p, t)

    want = run(predictions, targets)[1]
    gradients, value = run(*(np.where(mask, array, np.float32(np.nan)) for array in (predictions, targets)))
    np.testing.assert_allclose(value, want)
    assert value[2] == (1.0 if name == "cosine_distance" else 0.0)
    for gradient in gradients:
        assert np.isfinite(gradient).all()
        assert not np.where(mask, 0.0, gradient).any()


# Name, arguments, keywords of Optax that ours also takes by position.
POSITIONAL = [
    ("huber_loss", (0.3,), {"delta": 0.3}),
    ("huber_loss", (0,), {"delta": 0}),
    ("cosine_similarity", (0.5, 0), {"epsilon": 0.5, "axis": 0}),
    ("cosine_distance", (25.0,), {"epsilon": 25.0}),
]


@pytest.mark.parametrize(("name", "extra", "keywords"), POSITIONAL)
def test_positional_arguments(name: str, extra: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    predictions, targets = pair((3, 4))
    got, by_keyword = jax.jit(
        lambda p, t: (ours(name, p, t, *extra), ours(name, p, t, **keywords)),
    )(predictions, targets)
    np.testing.assert_array_equal(got, by_keyword)
    assert_same(name, (predictions, targets), [keywords])


@pytest.mark.parametrize("name", ["squared_error", "l2_loss", "huber_loss", "log_cosh"])
def test_targets_default_to_zero(name: str) -> None:
    predictions, _ = pair((7,))
    assert_same(name, (predictions,), [{}])
    given, default = jax.jit(lambda p: (ours(name, p, jnp.zeros(7)), ours(name, p)))(predictions)
    np.testing.assert_array_equal(given, default)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_numbers_numpy_and_integer_targets(name: str) -> None:
    assert ours(name, 1.5, 0.5).shape == ()
    x, y = np.linspace(-2, 2, 5), np.array([1, 0, 0, 1, 1])
    want = jax.jit(lambda x, y: oracle(name, x, y))(x, y)
    np.testing.assert_allclose(ours(name, x, y), want, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(jax.jit(lambda x, y: ours(name, x, y))(x, y > 0), want, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["huber_loss", "log_cosh", "hinge_loss", *ALONG_AXIS[:-1]])
def test_broadcasting(name: str) -> None:
    predictions, targets = pair((3, 4))
    assert_same(name, (predictions, targets[0]), [{}])


EXTREMES = np.array([-np.inf, -1e38, -1e4, -100.0, -1.0, -1e-20, 0.0, 1e-3, 1.0, 100.0, 1e4, 1e38, np.inf], np.float32)


@pytest.mark.parametrize("name", ["huber_loss", "log_cosh", "sigmoid_binary_cross_entropy"])
def test_extreme_arguments(name: str) -> None:
    @jax.jit
    def derivatives(x: jax.Array, target: jax.Array) -> Any:
        return [
            jax.vmap(jax.value_and_grad(lambda x: ours(name, x, target)))(x),
            jax.vmap(jax.value_and_grad(lambda x: oracle(name, x, target)))(x),
            jax.vmap(jax.grad(jax.grad(lambda x: ours(name, x, target))))(x),
        ]

    for target in (0.0, 1.0):
        (value, slope), (want, want_slope), curvature = derivatives(EXTREMES, np.float32(target))
        want = np.nan_to_num(want, nan=0.0, posinf=np.inf)  # 0 * inf, for a certain and correct prediction
        np.testing.assert_allclose(value, want, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(slope, want_slope, rtol=1e-6, atol=1e-7)
        assert np.isfinite(curvature[1:-1]).all()


def test_zero_targets_and_ruled_out_classes() -> None:
    """Outcomes of target 0 and prediction ``-inf`` count for nothing; Optax has NaN there."""
    logits, targets, kept = np.array([0.3, -np.inf, -1.2]), np.array([0.25, 0.0, 0.75]), np.array([0, 2])
    finite = np.array([0.3, -4.0, -1.2])
    for name in ("softmax_cross_entropy", "kl_divergence", "convex_kl_divergence"):

        @jax.jit
        def run(name: str = name) -> Any:
            both = [jax.value_and_grad(lambda x, t, f=f: f(name, x, t), argnums=(0, 1)) for f in (ours, oracle)]
            predicted = [jax.value_and_grad(lambda x, f=f: f(name, x, targets))(finite) for f in (ours, oracle)]
            return both[0](logits, targets), both[1](logits[kept], targets[kept]), predicted

        (value, gradients), (want, want_gradients), predicted = run()
        np.testing.assert_allclose(value, want, rtol=1e-6)
        for g, w in zip(gradients, want_gradients, strict=True):
            assert np.isfinite(g).all()
            np.testing.assert_allclose(np.asarray(g)[kept], w, rtol=1e-6, atol=1e-6)
        # A zero target against an ordinary prediction: all as in Optax, where only the gradient by the target is NaN.
        for got, optax_has in zip(*predicted, strict=True):
            np.testing.assert_allclose(got, optax_has, rtol=1e-6, atol=1e-7)


def test_zero_vector_needs_epsilon() -> None:
    zero, other = jnp.zeros(3), jnp.arange(3.0)
    assert jnp.isnan(losses.cosine_similarity(zero, other))
    assert_same("cosine_similarity", (zero, other), [{"epsilon": 1e-6}])
    # The norm and epsilon tie here: half of the gradient of each.
    assert_same("cosine_similarity", (other, other + 1), [{"epsilon": 5.0}])


@pytest.mark.parametrize(
    ("axis", "dtype"),
    [(axis, jnp.float32) for axis in (-1, 0, (-1, 0), (0, 1, 2), ())] + [((2, 1), jnp.bfloat16)],
)
def test_integer_labels_match_optax(axis: Any, dtype: Any) -> None:
    logits, _ = pair((2, 3, 4), dtype)
    axes = [a % 3 for a in np.atleast_1d(np.array(axis, int))]
    batch = [n for a, n in enumerate(logits.shape) if a not in axes]
    classes = int(np.prod([logits.shape[a] for a in axes], initial=1))
    labels = jnp.asarray(np.random.default_rng(0).integers(-classes, classes, batch))
    where = jnp.asarray(np.random.default_rng(1).random(logits.shape) < 0.5)
    assert_same(INTEGER_LABELS, (logits, labels), [{"axis": axis}, {"axis": axis, "where": where}], TOLERANCE[dtype])


def test_integer_labels_at_the_edges() -> None:
    logits, _ = pair((2, 3, 4))
    labels = np.array([[1, 3, 0], [2, 2, 2]])
    loss = jax.jit(losses.softmax_cross_entropy_with_integer_labels)
    one_hot = jax.jit(losses.softmax_cross_entropy)(logits, np.eye(4, dtype=np.float32)[labels])
    np.testing.assert_allclose(loss(logits, labels), one_hot, rtol=1e-6)
    out_of_range = np.isnan(loss(logits, np.array([[4, 3, 0], [2, 2, 2]])))
    np.testing.assert_array_equal(out_of_range, [[True, False, False], [False, False, False]])
    assert_same(INTEGER_LABELS, (logits, labels[:, :1]), [{}])
    assert_same(INTEGER_LABELS, (logits.at[0, 0, 0].set(-jnp.inf), labels), [{}, {"where": jnp.zeros((1, 1, 4), bool)}])


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("kwargs", [{}, {"axis": 0}, {"axis": None}, {"axis": (0, 1)}, {"where": MASK}])
@pytest.mark.parametrize("alpha", [0.1, 1.0, -0.5])
def test_smooth_labels_matches_optax(alpha: float, kwargs: dict[str, Any], dtype: Any) -> None:
    labels = jnp.asarray(np.eye(4)[[1, 3, 0]], dtype)
    got, want = jax.jit(lambda y: [f("smooth_labels", y, alpha, **kwargs) for f in (ours, oracle)])(labels)
    assert got.dtype == want.dtype == dtype
    np.testing.assert_allclose(got, want, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def test_smooth_labels_without_a_class() -> None:
    """Finite, and still narrow with an integer weight, where Optax widens to float32."""
    smoothed = losses.smooth_labels(jnp.ones((2, 3), jnp.bfloat16), 1, where=np.zeros(3, bool))
    assert smoothed.dtype == jnp.bfloat16
    np.testing.assert_array_equal(smoothed.astype(jnp.float32), np.ones((2, 3)))
