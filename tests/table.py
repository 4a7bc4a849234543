"""The parity table: every transformation with every hyperparameter off its default, for the library given."""

from __future__ import annotations

import jax.numpy as jnp

from tests import table_adaptive, table_structured
from tests.rows import Row, decay, joined, not_scalars, warmup
from tests.trees import matrices_only

TABLE = [
    Row("identity", lambda lib: lib.identity()),
    Row("scale", lambda lib: lib.scale(-0.3)),
    Row("scale_by_learning_rate", lambda lib: lib.scale_by_learning_rate(0.3, flip_sign=False)),
    Row("scale_by_learning_rate_schedule", lambda lib: lib.scale_by_learning_rate(decay(lib))),
    Row("scale_by_learning_rate_none", lambda lib: lib.scale_by_learning_rate(None)),
    Row("scale_by_schedule", lambda lib: lib.scale_by_schedule(warmup(lib))),
    Row("scale_by_schedule_joined", lambda lib: lib.scale_by_schedule(joined(lib))),
    Row("scale_by_schedule_cosine", lambda lib: lib.scale_by_schedule(lib.cosine_decay_schedule(0.3, 7, 0.1, 1.7))),
    Row("clip", lambda lib: lib.clip(0.4)),
    Row("clip_by_global_norm", lambda lib: lib.clip_by_global_norm(0.7), reduces=True),
    Row("clip_by_global_norm_inactive", lambda lib: lib.clip_by_global_norm(1e6), reduces=True),
    Row("trace", lambda lib: lib.trace(0.7)),
    Row("trace_nesterov", lambda lib: lib.trace(0.7, True, jnp.bfloat16)),
    Row("ema", lambda lib: lib.ema(0.8)),
    Row("ema_biased", lambda lib: lib.ema(0.8, False, jnp.bfloat16)),
    Row("scale_by_adam", lambda lib: lib.scale_by_adam(0.8, 0.95, 1e-4, 1e-5)),
    Row("scale_by_adam_mu_dtype", lambda lib: lib.scale_by_adam(0.8, 0.95, 1e-4, 1e-5, jnp.bfloat16)),
    Row("scale_by_adam_nesterov", lambda lib: lib.scale_by_adam(0.8, 0.95, 1e-4, 1e-5, nesterov=True)),
    Row("scale_by_rms", lambda lib: lib.scale_by_rms(0.8, 1e-4, 0.3)),
    Row("scale_by_rms_outside", lambda lib: lib.scale_by_rms(0.8, 1e-4, 0.3, False, True)),
    Row("scale_by_lion", lambda lib: lib.scale_by_lion(0.8, 0.95), discrete=True),
    Row("scale_by_lion_smooth", lambda lib: lib.scale_by_lion(0.8, 0.95, jnp.float32, mode="smooth", smooth_beta=0.7)),
    Row("scale_by_lion_refined", lambda lib: lib.scale_by_lion(0.8, 0.95, mode="refined")),
    Row("scale_by_trust_ratio", lambda lib: lib.scale_by_trust_ratio(0.1, 0.7, 1e-3), reduces=True),
    Row("add_decayed_weights", lambda lib: lib.add_decayed_weights(0.1)),
    Row("add_decayed_weights_zero", lambda lib: lib.add_decayed_weights(0.0)),
    Row("add_decayed_weights_mask", lambda lib: lib.add_decayed_weights(0.1, matrices_only)),
    Row("add_decayed_weights_schedule", lambda lib: lib.add_decayed_weights(decay(lib), matrices_only)),
    Row("masked", lambda lib: lib.masked(lib.scale_by_adam(0.8, 0.95, 1e-4, 1e-5), matrices_only)),
    Row(
        "masked_nested",
        lambda lib: lib.masked(lib.chain(lib.trace(0.7), lib.masked(lib.ema(0.5), matrices_only)), not_scalars),
    ),
    Row("masked_norm", lambda lib: lib.masked(lib.clip_by_global_norm(0.5), matrices_only), reduces=True),
    Row("chain", lambda lib: lib.chain(lib.clip(0.5), lib.trace(0.9), lib.scale(-0.1))),
    Row("sgd", lambda lib: lib.sgd(0.1)),
    Row("sgd_momentum", lambda lib: lib.sgd(decay(lib), 0.7, True, jnp.float32)),
    Row("adam", lambda lib: lib.adam(0.1, 0.8, 0.95, 1e-4, 1e-5, jnp.float32, nesterov=True)),
    Row("adam_schedule", lambda lib: lib.adam(warmup(lib), 0.8, 0.95, 1e-4, 1e-5)),
    Row("adamw", lambda lib: lib.adamw(0.1, 0.8, 0.95, 1e-4, 1e-5, jnp.bfloat16, 0.05, matrices_only)),
    Row("adamw_nesterov", lambda lib: lib.adamw(joined(lib), 0.8, 0.95, 1e-4, 1e-5, None, decay(lib), nesterov=True)),
    Row("lion", lambda lib: lib.lion(0.1, 0.8, 0.95, jnp.float32, 0.05, matrices_only), discrete=True),
    Row("rmsprop", lambda lib: lib.rmsprop(0.1, 0.8, 1e-4, 0.3, momentum=0.7, nesterov=True)),
    Row(
        "rmsprop_corrected",
        lambda lib: lib.rmsprop(0.1, 0.8, 1e-4, 0.3, eps_in_sqrt=False, bias_correction=True),
    ),
    Row("lamb", lambda lib: lib.lamb(0.1, 0.8, 0.95, 1e-4, 1e-5, 0.05, matrices_only), reduces=True),
    Row(
        "clip_adamw",
        lambda lib: lib.chain(lib.clip_by_global_norm(0.7), lib.adamw(0.1, weight_decay=0.05)),
        reduces=True,
    ),
    Row("adam_clip", lambda lib: lib.chain(lib.scale_by_adam(), lib.clip_by_global_norm(0.7)), reduces=True),
    Row("clip_lamb", lambda lib: lib.chain(lib.clip_by_global_norm(0.7), lib.lamb(0.1)), reduces=True),
    *table_adaptive.ROWS,
    *table_structured.ROWS,
]
