"""The diagonal Gaussian and gradient scaling, against Optax and against the formulas."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from optcc.distributions import multi_normal
from optcc.gradient_scaling import scale_gradient

LOC, LOG_SCALE = jnp.array([1.0, -2.0, 3.0]), jnp.array([-0.7, 0.0, 0.4])
KEY = jax.random.key(7)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_samples_are_those_of_optax(shape: tuple[int, ...], dtype: Any) -> None:
    loc, log_scale = LOC.astype(dtype), LOG_SCALE.astype(dtype)
    got, want = jax.jit(lambda m, s: [f(m, s).sample(shape, KEY) for f in (multi_normal, optax.multi_normal)])(
        loc, log_scale
    )
    assert got.shape == (*shape, 3)
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=1e-6 if dtype == jnp.float32 else 1e-2)


def test_key_and_seed_are_one_argument() -> None:
    normal = multi_normal(LOC, LOG_SCALE)
    want = normal.sample((2,), KEY)
    for kwargs in ({"key": KEY}, {"seed": KEY}):
        np.testing.assert_array_equal(normal.sample(shape=[2], **kwargs), want)
    assert normal.sample((2,), jax.random.PRNGKey(7)).shape == (2, 3)
    for kwargs in ({}, {"key": KEY, "seed": KEY}):
        with pytest.raises(TypeError, match="one random key"):
            normal.sample((2,), **kwargs)


@pytest.mark.parametrize(
    ("loc", "log_scale", "x"),
    [
        (LOC, LOG_SCALE, LOC + 0.5),
        (LOC, LOG_SCALE, jnp.arange(12.0).reshape(2, 2, 3)),
        (jnp.zeros((2, 3)), jnp.ones((2, 3)), jnp.ones((4, 2, 3))),
        (jnp.zeros((2, 3)), LOG_SCALE, LOC),
        (jnp.array(1.0), jnp.array(0.3), jnp.arange(3.0)),
        (LOC.astype(jnp.bfloat16), LOG_SCALE.astype(jnp.bfloat16), LOC.astype(jnp.bfloat16)),
    ],
)
def test_log_prob_matches_optax(loc: jax.Array, log_scale: jax.Array, x: jax.Array) -> None:
    @jax.jit
    def both(loc: jax.Array, log_scale: jax.Array) -> Any:
        def total(f: Any, *params: jax.Array) -> tuple[jax.Array, jax.Array]:
            log_prob = f(*params).log_prob(x)
            return log_prob.sum(), log_prob

        return [
            jax.grad(lambda *p, f=f: total(f, *p), argnums=(0, 1), has_aux=True)(loc, log_scale)
            for f in (multi_normal, optax.multi_normal)
        ]

    for got, want in zip(*(jax.tree.leaves(side) for side in both(loc, log_scale)), strict=True):
        assert got.dtype == want.dtype
        tolerance = 1e-5 if got.dtype == jnp.float32 else 3e-2
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def test_properties_and_shapes() -> None:
    normal = multi_normal(LOC, LOG_SCALE)
    assert normal.log_scale is LOG_SCALE
    assert [p is q for p, q in zip(normal.params, (LOC, LOG_SCALE), strict=True)] == [True, True]
    assert multi_normal(1.0, 0).sample((5,), KEY).shape == (5,)
    with pytest.raises(ValueError, match=r"loc has shape \(3,\), log_scale \(2,\)"):
        multi_normal(LOC, LOG_SCALE[:2])


def test_density_integrates_to_one() -> None:
    x = jnp.linspace(-8, 8, 4001)[:, None]
    density = jnp.exp(multi_normal(jnp.array([0.3]), jnp.array([-0.5])).log_prob(x))
    np.testing.assert_allclose(jnp.sum(density) * (16 / 4000), 1.0, rtol=1e-5)


@pytest.mark.parametrize("scale", [0.5, 0.0, 1.0, -2.0, 3])
def test_scale_gradient_matches_optax(scale: float) -> None:
    tree = {"a": LOC, "b": (LOG_SCALE, None)}

    def total(f: Any, tree: Any) -> jax.Array:
        scaled = f(tree, scale)
        return jnp.sum(scaled["a"] ** 3) + jnp.sum(jnp.sin(scaled["b"][0]))

    both = (scale_gradient, optax.scale_gradient)
    got, want = jax.jit(lambda t: [jax.value_and_grad(lambda t, f=f: total(f, t))(t) for f in both])(tree)
    jax.tree.map(lambda g, w: np.testing.assert_allclose(g, w, rtol=1e-6), got, want)


def test_scale_gradient_in_other_modes() -> None:
    """Forward mode, a batch of scales and a scale of another dtype, which Optax 0.2.8 refuses; second order."""
    oracle: Any = optax.scale_gradient

    @jax.jit
    def run() -> Any:
        return {
            "jvp": jax.jvp(lambda x: scale_gradient(x, 2.0), (LOC,), (LOC,)),
            "hessian": jax.hessian(lambda x: scale_gradient(x, 2.0) ** 3)(1.5),
            "hessian of optax": jax.grad(jax.grad(lambda x: oracle(x, 2.0) ** 3))(1.5),
            "scales": jax.vmap(lambda s: jax.grad(lambda x: scale_gradient(x, s).sum())(LOC))(jnp.array([0.0, 2.0])),
            "by scale": jax.grad(lambda s: scale_gradient(LOC, s).sum())(2.0),
            "half": jax.grad(lambda x: scale_gradient(x, jnp.float32(0.5)).sum())(LOC.astype(jnp.bfloat16)),
        }

    got = run()
    np.testing.assert_array_equal(got["jvp"], [LOC, 2 * LOC])
    assert got["hessian"] == got["hessian of optax"] == 4 * 6 * 1.5
    np.testing.assert_array_equal(got["scales"], [[0.0] * 3, [2.0] * 3])
    assert got["by scale"] == 0
    assert got["half"].dtype == jnp.bfloat16
    np.testing.assert_array_equal(got["half"].astype(jnp.float32), [0.5] * 3)


def test_scale_gradient_stops_infinite_gradients() -> None:
    np.testing.assert_array_equal(jax.grad(lambda x: jnp.sqrt(scale_gradient(x, 0.0)))(0.0), 0.0)


def test_scale_gradient_arguments() -> None:
    integers = jnp.arange(3)
    assert scale_gradient({"n": integers}, 0.5)["n"] is integers
    with pytest.raises(ValueError, match=r"scale must be one number, got shape \(3,\)"):
        scale_gradient(LOC, LOC)
