"""Optimizers that Optax has under `contrib`."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax.numpy as jnp

from tests.table.row import GLOBAL_NORM, MATRICES, SINGULAR, Row, decay, inner, warmup
from tests.trees import AXES, WITH_EMPTY, matrices_only


def falling(count: Any) -> Any:
    """A schedule of a moment's decay."""
    return 0.9 - 0.2 / (count + 1.0)


DISTANCE = "norms of gradients and of the way from the first parameters are known only after all were read"
PRODIGY = "the estimate of the learning rate is known only after all leaves were read; the moments are computed again"

_Row = partial(Row, brief=True)
_Norms = partial(_Row, reduces=True, drifts=True, leaves=(WITH_EMPTY,), mixed=False)
_Dog = partial(_Norms, sweeps=2, bytes=24, why=DISTANCE)
_Free = partial(_Row, sweeps=1, wraps=True, mixed=False)

ROWS = [
    _Row(
        "acprop",
        lambda lib: lib.contrib.acprop(0.1, 0.8, 0.95, 1e-4, 1e-5, 0.05, matrices_only),
        sweeps=1,
        bytes=28,
        listed="contrib.acprop(1e-3)",
    ),
    _Row(
        "ademamix",
        lambda lib: lib.contrib.ademamix(0.1, 0.8, 0.95, falling, 3.0, 1e-4, 1e-5, None, 0.05, matrices_only),
        sweeps=1,
        bytes=36,
        listed="contrib.ademamix(1e-3)",
    ),
    _Row(
        "simplified_ademamix",
        lambda lib: lib.contrib.simplified_ademamix(decay(lib), 0.8, 0.95, 0.6, 1e-4, 1e-5, 0.05, matrices_only),
        sweeps=1,
        bytes=28,
        listed="contrib.simplified_ademamix(1e-3)",
    ),
    _Row(
        "adopt",
        lambda lib: lib.contrib.adopt(0.1, 0.8, 0.95, 1e-2, nesterov=True),
        sweeps=1,
        bytes=28,
        listed="contrib.adopt(1e-3)",
        reduces=True,  # Optax computes 1 - b1 in float32
        static=("clip_value_fn",),
    ),
    _Row(
        "adopt_no_clipping",
        lambda lib: lib.contrib.adopt(warmup(lib), 0.8, 0.95, 1e-2, jnp.float32, use_clipping=False),
        sweeps=1,
        bytes=28,
        reduces=True,
    ),
    _Row(
        "cocob",
        lambda lib: lib.contrib.cocob(0.5, 10.0, 1e-3, 0.05, matrices_only),
        sweeps=1,
        bytes=48,
        listed="contrib.cocob()",
    ),
    _Row(
        "madgrad",
        lambda lib: lib.contrib.madgrad(decay(lib), 0.8, 0.05, 1e-3),
        sweeps=1,
        bytes=32,
        listed="contrib.madgrad(1e-3)",
        reduces=True,
        leaves=(WITH_EMPTY,),  # Optax's update is the difference of nearly equal parameters: whole trajectories only
    ),
    _Dog("dog", lambda lib: lib.contrib.dog(0.5, ("distance", 0.1), 1e-3, 0.05), listed="contrib.dog()"),
    _Dog("dog_heuristic", lambda lib: lib.contrib.dog(decay(lib), ("heuristic", 0.01), 1e-3, 0.05, matrices_only)),
    _Dog("dog_learning_rate", lambda lib: lib.contrib.dog(0.5, ("learning_rate", 0.1), 1e-3)),
    _Dog(
        "dowg",
        lambda lib: lib.contrib.dowg(0.5, 0.1, 1e-3, 0.05, matrices_only),
        listed="contrib.dowg()",
    ),
    _Norms(
        "dadapt_adamw",
        lambda lib: lib.contrib.dadapt_adamw(0.5, (0.8, 0.95), 1e-3, 1e-2, 0.05),
        sweeps=1,
        bytes=36,
        listed="contrib.dadapt_adamw()",
        static=("betas",),
    ),
    _Norms(
        "prodigy",
        lambda lib: lib.contrib.prodigy(0.5, (0.8, 0.95), None, 1e-3, 1e-2, 0.7, 0.05),
        sweeps=2,
        bytes=48,
        why=PRODIGY,
        listed="contrib.prodigy()",
        static=("betas",),
    ),
    _Norms(
        "prodigy_safeguard",
        lambda lib: lib.contrib.prodigy(decay(lib), (0.8, 0.95), 0.9, 1e-3, 1e-2, 0.7, 0.05, True),
        sweeps=2,
        bytes=48,
        why=PRODIGY,
    ),
    _Free(
        "schedule_free",
        lambda lib: lib.contrib.schedule_free(inner(lib), 0.1, 0.8, 1.5),
        bytes=36,
        reduces=True,
    ),
    _Free(
        "schedule_free_adamw",
        lambda lib: lib.contrib.schedule_free_adamw(0.5, 3, 0.8, 0.95, 1e-3, 0.05, 1.5, jnp.float32),
        bytes=28,
        listed="contrib.schedule_free_adamw()",
    ),
    _Free(
        "schedule_free_sgd",
        lambda lib: lib.contrib.schedule_free_sgd(0.5, 3, 0.8, 0.05, 1.5),
        bytes=20,
        listed="contrib.schedule_free_sgd()",
    ),
    _Row(
        "sam",
        lambda lib: lib.contrib.sam(inner(lib), lib.chain(lib.contrib.normalize(), lib.sgd(0.1, 0.7)), 3),
        sweeps=2,
        bytes=48,
        why=GLOBAL_NORM,
        listed="contrib.sam(sgd(1e-3), chain(contrib.normalize(), sgd(0.05)))",
        wraps=True,
        mixed=False,
    ),
    _Row(
        "muon",
        lambda lib: lib.contrib.muon(decay(lib), beta=0.8, eps=1e-4, weight_decay=0.05, adam_b1=0.8),
        sweeps=3,
        bytes=35.99,
        why=MATRICES,
        listed="contrib.muon(1e-3)",
        memory=MATRICES,
        fresh=True,
        reduces=True,
        leaves=(AXES,),
        static=("ns_steps",),
    ),
    _Row(
        "galore",
        lambda lib: lib.contrib.galore(decay(lib), 2, 3, 0.7, weight_decay=0.05),
        sweeps=2,
        bytes=12.04,
        listed="contrib.galore(1e-3)",
        memory=SINGULAR,
        fresh=True,
        opaque=True,
        reduces=True,
        drifts=True,
        leaves=(AXES,),
        mixed=False,
        static=("rank",),
    ),
]
