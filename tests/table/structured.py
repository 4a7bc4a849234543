"""What looks at axes of leaves, at examples, or at random numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from tests.table.row import ADAFACTOR, AXES_MEANS, DRAWN, EXAMPLES, NOISE, UNIT_NORMS, Row, decay, inner
from tests.trees import AXES, FEW, NO_VECTORS, RAGGED, WITH_EMPTY, matrices_only


def adafactor(lib: Any, rate: Callable[[Any], Any] = lambda lib: 0.1, **flags: Any) -> Any:
    """Adafactor with its numbers off their defaults, but for the flags given."""
    given = {
        "min_dim_size_to_factor": 3,
        "decay_rate": 0.7,
        "decay_offset": 0,
        "clipping_threshold": 0.9,
        "momentum": 0.8,
        "dtype_momentum": jnp.bfloat16,
        "weight_decay_rate": 0.01,
        "eps": 1e-6,
    }
    return lib.adafactor(rate(lib), **given | flags)


def _adafactor(flag: str, moved: float = 28.03, *, sweeps: int = 3, listed: str = "", **flags: Any) -> Row:
    """A row of adafactor with the flags given, which the name tells."""
    return Row(
        f"adafactor_{flag}",
        partial(adafactor, **flags),
        sweeps=sweeps,
        bytes=moved,
        why=ADAFACTOR,
        listed=listed,
        xla_arrays=1,
        reduces=True,
        leaves=(WITH_EMPTY,),
        static=("min_dim_size_to_factor",),
    )


def own_rate(count: Any, exponent: Any) -> Any:
    """A user's decay rate."""
    return 1.0 - 1.0 / (count + 2.0) ** exponent


_Axes = partial(Row, reduces=True, leaves=(RAGGED, WITH_EMPTY))
_Bounds = partial(Row, sweeps=1, bytes=20.02, leaves=(AXES,), least_rank=1)
_Noise = partial(Row, sweeps=1, bytes=16, why=NOISE, memory=DRAWN, leaves=(FEW,), static=("seed",))
_Examples = partial(
    Row, sweeps=5, why=EXAMPLES, fresh=True, reduces=True, leaves=(FEW,), examples=3, mixed=False, static=("seed",)
)

ROWS = [
    _Axes(
        "adafactor",
        adafactor,
        sweeps=3,
        bytes=28.03,
        why=ADAFACTOR,
        listed="adafactor(1e-3, momentum=0.9, weight_decay_rate=1e-4)",
        xla_arrays=1,
        static=("min_dim_size_to_factor",),
    ),
    _Axes(
        "adafactor_unfactored",
        partial(adafactor, factored=False),
        sweeps=2,
        bytes=36,
        why="the root mean square of each leaf's update is known only after it was computed; it is computed again",
    ),
    # Every flag that changes the chain, one at a time and all of them off.
    _adafactor("schedule", rate=decay),
    _adafactor("no_rate", rate=lambda lib: None),
    _adafactor("no_scale", 24.03, multiply_by_parameter_scale=False),
    _adafactor("no_clipping", 24.02, clipping_threshold=None),
    _adafactor("no_momentum", 24.03, momentum=None, listed="adafactor(1e-3)"),
    _adafactor("float_momentum", 32.03, dtype_momentum=jnp.float32),
    _adafactor("no_decay", weight_decay_rate=None),
    _adafactor("decay_mask", weight_decay_mask=matrices_only),
    _adafactor("offset", decay_offset=-2),
    _adafactor("large_axes_only", min_dim_size_to_factor=5),
    _adafactor(
        "bare",
        16.02,
        sweeps=2,
        rate=lambda lib: None,
        multiply_by_parameter_scale=False,
        clipping_threshold=None,
        momentum=None,
        weight_decay_rate=None,
    ),
    Row(
        "masked_adafactor",
        lambda lib: lib.masked(adafactor(lib), matrices_only),
        sweeps=3,
        bytes=28.00,
        why=ADAFACTOR,
        reduces=True,
        leaves=(AXES,),
    ),
    _Axes(
        "scale_by_factored_rms",
        lambda lib: lib.scale_by_factored_rms(True, 0.7, -1, 3, 1e-6),
        sweeps=2,
        bytes=16.02,
        why=AXES_MEANS,
    ),
    Row(
        "scale_by_factored_rms_off",
        lambda lib: lib.scale_by_factored_rms(False, 0.7, -1, 3, 1e-6),
        sweeps=1,
        bytes=20,
        leaves=(RAGGED, WITH_EMPTY),
    ),
    _Axes(
        "scale_by_factored_rms_own_rate",
        lambda lib: lib.scale_by_factored_rms(True, 0.7, -1, 3, 1e-6, own_rate),
        sweeps=2,
        bytes=16.02,
        why=AXES_MEANS,
    ),
    # Units
    _Axes(
        "adaptive_grad_clip",
        lambda lib: lib.adaptive_grad_clip(0.3, 0.05),
        sweeps=2,
        bytes=20.01,
        why=UNIT_NORMS,
        listed="adaptive_grad_clip(0.01)",
    ),
    _Axes(
        "adaptive_grad_clip_inactive",
        lambda lib: lib.adaptive_grad_clip(1e6, 0.05),
        sweeps=2,
        bytes=20.01,
        why=UNIT_NORMS,
    ),
    Row(
        "adaptive_grad_clip_axis",
        lambda lib: lib.adaptive_grad_clip(0.3, 0.05, 0),
        sweeps=2,
        bytes=20.01,
        why=UNIT_NORMS,
        reduces=True,
        leaves=(AXES,),
    ),
    Row(
        "adaptive_grad_clip_axes",
        lambda lib: lib.adaptive_grad_clip(0.3, 0.05, (0, -1)),
        sweeps=2,
        bytes=20.00,
        why=UNIT_NORMS,
        reduces=True,
        leaves=(NO_VECTORS,),
        least_rank=2,
    ),
    _Axes(
        "centralize",
        lambda lib: lib.centralize(),
        sweeps=2,
        bytes=16.00,
        why="the mean of a slice is known only after it was read",
        listed="centralize()",
    ),
    _Axes(
        "clip_units_adamw",
        lambda lib: lib.chain(lib.adaptive_grad_clip(0.3, 0.05), lib.centralize(), inner(lib)),
        sweeps=3,
        bytes=40.01,
        why=f"{UNIT_NORMS}, then the mean of a slice only after it was clipped",
    ),
    # One bound for each axis
    _Bounds("scale_by_sm3", lambda lib: lib.scale_by_sm3(0.8, 0.9, 1e-3)),
    _Bounds("scale_by_sm3_sum", lambda lib: lib.scale_by_sm3(0.8, 1.0, 1e-3)),
    _Bounds("sm3", lambda lib: lib.sm3(0.1, 0.8), listed="sm3(1e-3)", xla_arrays=1),
    # Random numbers
    _Noise("add_noise", lambda lib: lib.add_noise(0.3, 0.6, 3), listed="add_noise(0.01, 0.55, 0)"),
    _Noise("add_noise_key", lambda lib: lib.add_noise(0.3, 0.6, key=jax.random.key(7))),
    _Noise("noisy_sgd", lambda lib: lib.noisy_sgd(0.1, 0.3, 0.6, 5), listed="noisy_sgd(1e-3)"),
    _Noise("noisy_sgd_schedule", lambda lib: lib.noisy_sgd(decay(lib), 0.3, 0.6, key=jax.random.key(7))),
    _Examples(
        "differentially_private_aggregate",
        lambda lib: lib.contrib.differentially_private_aggregate(2.0, 0.3, 5),
        bytes=28.00,
    ),
    _Examples(
        "dpsgd",
        lambda lib: lib.contrib.dpsgd(0.1, 2.0, 0.3, 5),
        bytes=28.00,
        listed="contrib.dpsgd(1e-3, 1.0, 1.0, 0)",
    ),
    _Examples(
        "dpsgd_momentum",
        lambda lib: lib.contrib.dpsgd(decay(lib), 2.0, 0.3, 5, 0.8, True),
        bytes=36.00,
    ),
]
