"""More rows of the parity table: adaptive transformations, blocks, guards, and the optimizers around them."""

from __future__ import annotations

import jax.numpy as jnp

from tests.rows import Row, decay, warmup
from tests.trees import matrices_only

ROWS = [
    Row("scale_by_rss", lambda lib: lib.scale_by_rss(0.3, 1e-4)),
    Row("scale_by_rss_zero", lambda lib: lib.chain(lib.scale(0.0), lib.scale_by_rss(0.0, 1e-4))),
    Row("scale_by_belief", lambda lib: lib.scale_by_belief(0.8, 0.95, 1e-4, 1e-5)),
    Row("scale_by_belief_nesterov", lambda lib: lib.scale_by_belief(0.8, 0.95, 1e-4, 1e-5, nesterov=True)),
    Row("scale_by_yogi", lambda lib: lib.scale_by_yogi(0.8, 0.95, 1e-2, 1e-4, 0.3)),
    Row("scale_by_amsgrad", lambda lib: lib.scale_by_amsgrad(0.8, 0.95, 1e-4, 1e-5, jnp.float32)),
    Row("scale_by_amsgrad_mu", lambda lib: lib.scale_by_amsgrad(0.8, 0.7, 1e-4, 1e-5, jnp.bfloat16, False, True)),
    Row("scale_by_amsgrad_nu", lambda lib: lib.scale_by_amsgrad(0.8, 0.7, 1e-4, 1e-5, None, True, False)),
    Row("scale_by_radam", lambda lib: lib.scale_by_radam(0.8, 0.95, 1e-4, 1e-5, 4.5)),
    Row("scale_by_radam_nesterov", lambda lib: lib.scale_by_radam(0.8, 0.9, 1e-4, 1e-5, nesterov=True)),
    Row("scale_by_radam_waiting", lambda lib: lib.scale_by_radam(0.8, 0.95, 1e-4, 1e-5, 1e3)),
    Row("scale_by_stddev", lambda lib: lib.scale_by_stddev(0.8, 0.1, 0.3)),
    Row("scale_by_stddev_outside", lambda lib: lib.scale_by_stddev(0.8, 0.1, 0.3, False, True)),
    Row("scale_by_adamax", lambda lib: lib.scale_by_adamax(0.8, 0.95, 1e-4)),
    Row("scale_by_novograd", lambda lib: lib.scale_by_novograd(0.8, 0.5, 1e-4, 1e-5, 0.05), reduces=True),
    Row(
        "scale_by_novograd_mu",
        lambda lib: lib.scale_by_novograd(0.8, 0.5, 1e-4, 1e-5, 0.05, jnp.bfloat16),
        reduces=True,
    ),
    Row("scale_by_optimistic_gradient", lambda lib: lib.scale_by_optimistic_gradient(0.7, 0.4)),
    Row("scale_by_param_block_norm", lambda lib: lib.scale_by_param_block_norm(0.5), reduces=True),
    Row("scale_by_param_block_rms", lambda lib: lib.scale_by_param_block_rms(0.9), reduces=True),
    Row("clip_by_block_rms", lambda lib: lib.clip_by_block_rms(0.9), reduces=True),
    Row("set_to_zero", lambda lib: lib.set_to_zero()),
    Row("keep_params_nonnegative", lambda lib: lib.keep_params_nonnegative()),
    Row("zero_nans", lambda lib: lib.zero_nans()),
    Row(
        "zero_nans_found",
        lambda lib: lib.chain(lib.masked(lib.scale(float("nan")), matrices_only), lib.zero_nans()),
    ),
    Row("adabelief", lambda lib: lib.adabelief(0.1, 0.8, 0.95, 1e-4, 1e-5, nesterov=True)),
    Row("adagrad", lambda lib: lib.adagrad(warmup(lib), 0.3, 1e-4)),
    Row("adamax", lambda lib: lib.adamax(0.1, 0.8, 0.95, 1e-4)),
    Row("adamaxw", lambda lib: lib.adamaxw(decay(lib), 0.8, 0.95, 1e-4, decay(lib), matrices_only)),
    Row("amsgrad", lambda lib: lib.amsgrad(0.1, 0.8, 0.95, 1e-4, 1e-5, jnp.float32, False, False)),
    Row("yogi", lambda lib: lib.yogi(0.1, 0.8, 0.95, 1e-2)),
    Row("radam", lambda lib: lib.radam(0.1, 0.8, 0.95, 1e-4, 1e-5, 4.5, nesterov=True)),
    Row("novograd", lambda lib: lib.novograd(0.1, 0.8, 0.5, 1e-4, 1e-5, 0.05), reduces=True),
    Row("optimistic_gradient_descent", lambda lib: lib.optimistic_gradient_descent(decay(lib), 0.7, 0.4)),
    Row("fromage", lambda lib: lib.fromage(0.1, 0.3), reduces=True),
    Row("fromage_schedule", lambda lib: lib.fromage(decay(lib), 0.3), reduces=True),
    Row(
        "lars",
        lambda lib: lib.lars(0.1, 0.05, matrices_only, 0.01, 1e-4, matrices_only, 0.7, True),
        reduces=True,
    ),
    Row("lars_unmasked", lambda lib: lib.lars(decay(lib), 0.05, momentum=0.7), reduces=True),
    Row(
        "rmsprop_centered",
        lambda lib: lib.rmsprop(0.1, 0.8, 0.1, 0.3, centered=True, momentum=0.7, nesterov=True),
    ),
    Row(
        "rmsprop_centered_corrected",
        lambda lib: lib.rmsprop(0.1, 0.8, 0.1, 0.3, centered=True, eps_in_sqrt=False, bias_correction=True),
    ),
]
"""The centred second moments have a large eps: nu - mu**2 cancels, and what is left of it is not exact to few ulps."""
