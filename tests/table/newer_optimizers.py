"""Optimizers and transformations that Optax has had since 0.1.8, elementwise ones and those with norms."""

from __future__ import annotations

from functools import partial

import jax.numpy as jnp

from tests.table.row import GLOBAL_NORM, LEAF_NORMS, Row, decay, warmup
from tests.trees import AXES, WITH_EMPTY, matrices_only

_Row = partial(Row, brief=True)

ROWS = [
    _Row(
        "adadelta",
        lambda lib: lib.adadelta(0.3, 0.8, 1e-3, 0.05, matrices_only),
        sweeps=1,
        bytes=28,
        listed="adadelta(1.0)",
    ),
    _Row(
        "adan",
        lambda lib: lib.adan(decay(lib), 0.8, 0.7, 0.9, 1e-4, 1e-5, 0.05, matrices_only),
        sweeps=1,
        bytes=44,
        listed="adan(1e-3)",
    ),
    _Row("nadam", lambda lib: lib.nadam(0.1, 0.8, 0.95, 1e-4, 1e-5), sweeps=1, bytes=28, listed="nadam(1e-3)"),
    _Row(
        "nadamw",
        lambda lib: lib.nadamw(warmup(lib), 0.8, 0.95, 1e-4, 1e-5, jnp.float32, 0.05, matrices_only),
        sweeps=1,
        bytes=28,
        listed="nadamw(1e-3)",
    ),
    _Row(
        "optimistic_adam_v2",
        lambda lib: lib.optimistic_adam_v2(
            decay(lib), alpha=0.7, beta=0.4, b1=0.8, b2=0.95, eps=1e-4, eps_root=1e-5, nesterov=False
        ),
        sweeps=1,
        bytes=36,
        listed="optimistic_adam_v2(1e-3)",
    ),
    _Row(
        "rprop",
        lambda lib: lib.rprop(0.1, 0.4, 1.5, 0.05, 0.3),
        sweeps=1,
        bytes=28,
        listed="rprop(1e-3)",
        discrete=True,
    ),
    _Row("sign_sgd", lambda lib: lib.sign_sgd(decay(lib)), sweeps=1, bytes=12, listed="sign_sgd(1e-3)", discrete=True),
    _Row(
        "signum",
        lambda lib: lib.signum(0.1, 0.8, jnp.float32),
        sweeps=1,
        bytes=20,
        listed="signum(1e-3)",
        discrete=True,
    ),
    _Row(
        "scale_by_distance_over_gradients",
        lambda lib: lib.scale_by_distance_over_gradients(0.01, 1e-3, jnp.float32, 0.7),
        sweeps=2,
        bytes=24.00,
        why=LEAF_NORMS,
        reduces=True,
        drifts=True,
        leaves=(AXES,),  # Optax gives the update of a 0-d leaf one axis
        mixed=False,
    ),
    _Row(
        "normalize_by_update_norm",
        lambda lib: lib.normalize_by_update_norm(0.7, 0.1),
        sweeps=2,
        bytes=16,
        why=GLOBAL_NORM,
        listed="normalize_by_update_norm()",
        reduces=True,
        leaves=(WITH_EMPTY,),
        mixed=False,
    ),
    _Row(
        "normalize",
        lambda lib: lib.contrib.normalize(),
        sweeps=2,
        bytes=16,
        why=GLOBAL_NORM,
        listed="contrib.normalize()",
        reduces=True,
        leaves=(WITH_EMPTY,),
        mixed=False,
    ),
]
