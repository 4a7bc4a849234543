"""Optax with optcc's step-level numbers: the oracle where its own are several ulps off.

``1 - decay**count`` cancels in float32, and so does the length in radam's rectification (docs/differences.md). Tests
that compare with Optax to the last places, `TESTS`, run with optcc's in their place; all others with Optax as it is.
What optcc's are is compared with exact arithmetic in `test_step_scalars`.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax._src import transform

from optcc.formula import powers
from optcc.formula.values import HOST_F64
from tests.trees import assert_close

TESTS = {
    "test_each_step_equals_optax",
    "test_float64",
    "test_adamw_equals_optax",
    "test_jit",
    "test_in_optax_chain",
    "test_state_moves_between_libraries",
    "test_measurements_are_those_of_optax",
    "test_in_a_chain_and_under_a_mask",
    "test_seven_steps_equal_optax",
}
RECTIFIED_ULPS = 8
"""For radam in these tests: XLA contracts the many operations of its length in one way here, in another there."""

_their_correction = optax.tree.bias_correction
_their_radam = optax.scale_by_radam


def install(patch: pytest.MonkeyPatch, test: Any, row: str = "") -> None:
    """Put the corrected functions where Optax's transformations look for them, for a row of a test module, or none."""
    patch.setattr(optax.tree, "bias_correction", _bias_correction)
    for module in (optax, transform):
        patch.setattr(module, "scale_by_radam", _scale_by_radam)
    if row == "fromage_schedule":
        patch.setattr(optax, "fromage", _scheduled_fromage)
    if "radam" in row and hasattr(test, "assert_close"):
        patch.setattr(test, "assert_close", lambda *args, **options: assert_close(*args, **_wider(**options)))


def _wider(*, limit: float, **rest: Any) -> dict[str, Any]:
    return {**rest, "limit": limit and RECTIFIED_ULPS}


class _Decay(float):
    """A number as formulas see one that the host computes with."""

    dtype = HOST_F64

    def __pow__(self, other: Any, mod: None = None) -> Any:
        return float(self) ** other


class _Numpy:
    """What `powers` asks of a builder."""

    where = staticmethod(jnp.where)
    abs = staticmethod(abs)

    def unary(self, kind: str, value: Any) -> Any:
        return float(getattr(np, kind)(value)) if isinstance(value, float) else getattr(jnp, kind)(value)


def _bias_correction(moment: Any, decay: Any, count: Any) -> Any:
    if not isinstance(decay, float):
        return _their_correction(moment, decay, count)
    factor: Any = powers.one_minus_power(_Numpy(), _Decay(decay), count)  # type: ignore[arg-type]
    return jax.tree.map(lambda m: m / factor.astype(m.dtype), moment)


def _scale_by_radam(
    b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8, eps_root: float = 0.0, threshold: float = 5.0, **options: Any
) -> Any:
    """Optax's own, told never to rectify, and the rectification behind it."""
    plain = _their_radam(b1, b2, eps, eps_root, np.inf, **options)
    last = 2 / (1 - b2) - 1

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        new: Any
        mu_hat, new = plain.update(updates, state, params)
        nu_hat = _bias_correction(new.nu, b2, new.count)
        length: Any = powers.average_length(_Numpy(), _Decay(b2), new.count)  # type: ignore[arg-type]
        r = jnp.sqrt((length - 4.0) * (length - 2.0) / length * (last / ((last - 4.0) * (last - 2.0))))
        rectified = jax.tree.map(lambda m, v: r.astype(m.dtype) * m / (jnp.sqrt(v + eps_root) + eps), mu_hat, nu_hat)
        return jax.tree.map(lambda x, m: jnp.where(length >= threshold, x, m), rectified, mu_hat), new

    return optax.GradientTransformation(plain.init, update)


def _scheduled_fromage(learning_rate: Any, min_norm: float) -> Any:
    def root(count: Any) -> Any:
        return (1 + learning_rate(count) ** 2) ** 0.5

    def shrinking(count: Any) -> Any:
        return -(learning_rate(count) ** 2) / (root(count) * (1 + root(count)))

    return optax.chain(
        optax.scale_by_trust_ratio(min_norm),
        optax.scale_by_learning_rate(lambda count: learning_rate(count) / root(count)),
        optax.add_decayed_weights(shrinking),
    )
