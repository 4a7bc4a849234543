"""Transformations that are a formula for each element or each leaf."""

from __future__ import annotations

import jax.numpy as jnp

from tests.table.row import GLOBAL_NORM, LEAF_NORMS, SECOND_NORM, TRUST_RATIO, Row, decay, joined, warmup
from tests.trees import matrices_only

ROWS = [
    # Scaling and clipping
    Row("identity", lambda lib: lib.identity(), sweeps=1, bytes=12),
    Row("scale", lambda lib: lib.scale(-0.3), sweeps=1, bytes=12),
    Row("scale_by_learning_rate", lambda lib: lib.scale_by_learning_rate(0.3, flip_sign=False), sweeps=1, bytes=12),
    Row("scale_by_learning_rate_schedule", lambda lib: lib.scale_by_learning_rate(decay(lib)), sweeps=1, bytes=12),
    Row("scale_by_learning_rate_none", lambda lib: lib.scale_by_learning_rate(None), sweeps=1, bytes=12),
    Row("scale_by_schedule", lambda lib: lib.scale_by_schedule(warmup(lib)), sweeps=1, bytes=12),
    Row("scale_by_schedule_joined", lambda lib: lib.scale_by_schedule(joined(lib)), sweeps=1, bytes=12),
    Row(
        "scale_by_schedule_cosine",
        lambda lib: lib.scale_by_schedule(lib.cosine_decay_schedule(0.3, 7, 0.1, 1.7)),
        sweeps=1,
        bytes=12,
    ),
    Row("set_to_zero", lambda lib: lib.set_to_zero(), sweeps=1, bytes=8),
    Row("clip", lambda lib: lib.clip(0.4), sweeps=1, bytes=12),
    Row(
        "clip_by_global_norm",
        lambda lib: lib.clip_by_global_norm(0.7),
        sweeps=2,
        bytes=16,
        why=GLOBAL_NORM,
        reduces=True,
    ),
    Row(
        "clip_by_global_norm_inactive",
        lambda lib: lib.clip_by_global_norm(1e6),
        sweeps=2,
        bytes=16,
        why=GLOBAL_NORM,
        reduces=True,
    ),
    Row("clip_by_block_rms", lambda lib: lib.clip_by_block_rms(0.9), sweeps=2, bytes=16, why=LEAF_NORMS, reduces=True),
    Row(
        "scale_by_param_block_norm",
        lambda lib: lib.scale_by_param_block_norm(0.5),
        sweeps=2,
        bytes=16,
        why=LEAF_NORMS,
        reduces=True,
    ),
    Row(
        "scale_by_param_block_rms",
        lambda lib: lib.scale_by_param_block_rms(0.9),
        sweeps=2,
        bytes=16,
        why=LEAF_NORMS,
        reduces=True,
    ),
    Row(
        "scale_by_trust_ratio",
        lambda lib: lib.scale_by_trust_ratio(0.1, 0.7, 1e-3),
        sweeps=2,
        bytes=20,
        why=TRUST_RATIO,
        reduces=True,
    ),
    Row("add_decayed_weights", lambda lib: lib.add_decayed_weights(0.1), sweeps=1, bytes=12),
    Row("add_decayed_weights_zero", lambda lib: lib.add_decayed_weights(0.0), sweeps=1, bytes=12),
    Row("add_decayed_weights_mask", lambda lib: lib.add_decayed_weights(0.1, matrices_only), sweeps=1, bytes=12),
    Row(
        "add_decayed_weights_schedule",
        lambda lib: lib.add_decayed_weights(decay(lib), matrices_only),
        sweeps=1,
        bytes=12,
    ),
    Row("keep_params_nonnegative", lambda lib: lib.keep_params_nonnegative(), sweeps=1, bytes=12),
    Row("zero_nans", lambda lib: lib.zero_nans(), sweeps=1, bytes=12),
    Row(
        "zero_nans_found",
        lambda lib: lib.chain(lib.masked(lib.scale(float("nan")), matrices_only), lib.zero_nans()),
        sweeps=1,
        bytes=12,
    ),
    # Moments
    Row("trace", lambda lib: lib.trace(0.7), sweeps=1, bytes=20),
    Row("trace_nesterov", lambda lib: lib.trace(0.7, True, jnp.bfloat16), sweeps=1, bytes=16),
    Row("ema", lambda lib: lib.ema(0.8), sweeps=1, bytes=20),
    Row("ema_biased", lambda lib: lib.ema(0.8, False, jnp.bfloat16), sweeps=1, bytes=16),
    Row("scale_by_adam", lambda lib: lib.scale_by_adam(0.8, 0.95, 1e-4, 1e-5), sweeps=1, bytes=28),
    Row(
        "scale_by_adam_mu_dtype", lambda lib: lib.scale_by_adam(0.8, 0.95, 1e-4, 1e-5, jnp.bfloat16), sweeps=1, bytes=24
    ),
    Row(
        "scale_by_adam_nesterov",
        lambda lib: lib.scale_by_adam(0.8, 0.95, 1e-4, 1e-5, nesterov=True),
        sweeps=1,
        bytes=28,
    ),
    Row("scale_by_rms", lambda lib: lib.scale_by_rms(0.8, 1e-4, 0.3), sweeps=1, bytes=20),
    Row("scale_by_rms_outside", lambda lib: lib.scale_by_rms(0.8, 1e-4, 0.3, False, True), sweeps=1, bytes=20),
    Row("scale_by_lion", lambda lib: lib.scale_by_lion(0.8, 0.95), sweeps=1, bytes=20, discrete=True),
    Row(
        "scale_by_lion_smooth",
        lambda lib: lib.scale_by_lion(0.8, 0.95, jnp.float32, mode="smooth", smooth_beta=0.7),
        sweeps=1,
        bytes=20,
    ),
    Row("scale_by_lion_refined", lambda lib: lib.scale_by_lion(0.8, 0.95, mode="refined"), sweeps=1, bytes=20),
    Row("scale_by_rss", lambda lib: lib.scale_by_rss(0.3, 1e-4), sweeps=1, bytes=20),
    Row("scale_by_rss_zero", lambda lib: lib.chain(lib.scale(0.0), lib.scale_by_rss(0.0, 1e-4)), sweeps=1, bytes=20),
    Row("scale_by_belief", lambda lib: lib.scale_by_belief(0.8, 0.95, 1e-4, 1e-5), sweeps=1, bytes=28),
    Row(
        "scale_by_belief_nesterov",
        lambda lib: lib.scale_by_belief(0.8, 0.95, 1e-4, 1e-5, nesterov=True),
        sweeps=1,
        bytes=28,
    ),
    Row("scale_by_yogi", lambda lib: lib.scale_by_yogi(0.8, 0.95, 1e-2, 1e-4, 0.3), sweeps=1, bytes=28),
    Row("scale_by_amsgrad", lambda lib: lib.scale_by_amsgrad(0.8, 0.95, 1e-4, 1e-5, jnp.float32), sweeps=1, bytes=36),
    Row(
        "scale_by_amsgrad_mu",
        lambda lib: lib.scale_by_amsgrad(0.8, 0.7, 1e-4, 1e-5, jnp.bfloat16, False, True),
        sweeps=1,
        bytes=32,
    ),
    Row(
        "scale_by_amsgrad_nu",
        lambda lib: lib.scale_by_amsgrad(0.8, 0.7, 1e-4, 1e-5, None, True, False),
        sweeps=1,
        bytes=36,
    ),
    Row("scale_by_radam", lambda lib: lib.scale_by_radam(0.8, 0.95, 1e-4, 1e-5, 4.5), sweeps=1, bytes=28),
    Row(
        "scale_by_radam_nesterov",
        lambda lib: lib.scale_by_radam(0.8, 0.9, 1e-4, 1e-5, nesterov=True),
        sweeps=1,
        bytes=28,
    ),
    Row("scale_by_radam_waiting", lambda lib: lib.scale_by_radam(0.8, 0.95, 1e-4, 1e-5, 1e3), sweeps=1, bytes=28),
    Row(
        "scale_by_stddev",
        lambda lib: lib.scale_by_stddev(0.8, 0.1, 0.3),
        sweeps=1,
        bytes=28,
        drawn=lambda lib: lib.scale_by_stddev(0.8, 100.0, 0.3),
    ),
    Row(
        "scale_by_stddev_outside",
        lambda lib: lib.scale_by_stddev(0.8, 0.1, 0.3, False, True),
        sweeps=1,
        bytes=28,
        drawn=lambda lib: lib.scale_by_stddev(0.8, 100.0, 0.3, False, True),
    ),
    Row("scale_by_adamax", lambda lib: lib.scale_by_adamax(0.8, 0.95, 1e-4), sweeps=1, bytes=28),
    Row("scale_by_optimistic_gradient", lambda lib: lib.scale_by_optimistic_gradient(0.7, 0.4), sweeps=1, bytes=20),
    Row(
        "scale_by_novograd",
        lambda lib: lib.scale_by_novograd(0.8, 0.5, 1e-4, 1e-5, 0.05),
        sweeps=2,
        bytes=24,
        why=SECOND_NORM,
        reduces=True,
    ),
    Row(
        "scale_by_novograd_mu",
        lambda lib: lib.scale_by_novograd(0.8, 0.5, 1e-4, 1e-5, 0.05, jnp.bfloat16),
        sweeps=2,
        bytes=20,
        why=SECOND_NORM,
        reduces=True,
    ),
]
"""The centred second moments have a large eps: nu - mu**2 cancels, and what is left of it is not exact to few ulps.
With a random nu and mu it may be negative, unless eps is larger still."""
