"""Rows of the parity table for what looks at axes, at all leaves as one, or at random numbers.

`ROWS` take the ragged tree; the others come with a tree that Optax accepts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.rows import Row, decay
from tests.table_wrappers import halving, inner
from tests.trees import matrices_only

Shapes = dict[str, tuple[int, ...]]

AXES: Shapes = {
    "tall": (9, 4),
    "wide": (3, 11),
    "square": (5, 5),
    "line": (1, 6),
    "one": (1,),
    "vector": (7,),
    "cube": (4, 3, 4),
    "kernel": (3, 2, 4, 5),
    "volume": (2, 3, 1, 4, 3),
}
"""Leaves of rank 1 to 5: tall, wide and square, with ties for the largest axis and with axes of size 1."""
WITH_EMPTY = AXES | {"scalar": (), "empty": (0, 3)}
FEW: Shapes = {"scalar": (), "empty": (0, 3), "vector": (7,), "kernel": (3, 2, 4, 5)}
"""For random numbers, which take long to compile."""


@dataclass(frozen=True)
class Case:
    """A row with leaves of its own. `examples` of the gradient are in front of every leaf, if any.

    `mixed`: Optax takes leaves of two dtypes and keeps the dtypes of the state.
    """

    row: Row
    shapes: Shapes
    examples: int = 0
    mixed: bool = True


def random_tree(shapes: Shapes, seed: int, dtype: Any = jnp.float32, *, mixed: bool = False, front: int = 0) -> Any:
    """Normal values; with `mixed`, every other leaf is bfloat16; with `front`, behind an axis of that size."""
    rng = np.random.default_rng(seed)
    lead = (front,) if front else ()
    return {
        name: jnp.asarray(rng.normal(size=(*lead, *shape)), jnp.bfloat16 if mixed and i % 2 else dtype)
        for i, (name, shape) in enumerate(shapes.items())
    }


def _adafactor(name: str, **flags: Any) -> list[Row]:
    """One chain with its numbers off their defaults, but for the flags given."""
    given = {
        "min_dim_size_to_factor": 3,
        "decay_rate": 0.7,
        "decay_offset": 0,
        "clipping_threshold": 0.9,
        "momentum": 0.8,
        "dtype_momentum": jnp.bfloat16,
        "weight_decay_rate": 0.01,
        "eps": 1e-6,
    } | flags
    rate: Callable[[Any], Any] = given.pop("learning_rate", lambda lib: 0.1)

    def make(lib: Any) -> Any:
        return lib.adafactor(rate(lib), **given)

    return [Row(f"adafactor_{name}".rstrip("_"), make, reduces=True)]


ADAFACTOR = [
    *_adafactor(""),
    *_adafactor("unfactored", factored=False),
    *_adafactor("schedule", learning_rate=decay),
    *_adafactor("no_rate", learning_rate=lambda lib: None),
    *_adafactor("no_scale", multiply_by_parameter_scale=False),
    *_adafactor("no_clipping", clipping_threshold=None),
    *_adafactor("no_momentum", momentum=None),
    *_adafactor("float_momentum", dtype_momentum=jnp.float32),
    *_adafactor("no_decay", weight_decay_rate=None),
    *_adafactor("decay_mask", weight_decay_mask=matrices_only),
    *_adafactor("offset", decay_offset=-2),
    *_adafactor("large_axes_only", min_dim_size_to_factor=5),
    *_adafactor(
        "bare",
        learning_rate=lambda lib: None,
        multiply_by_parameter_scale=False,
        clipping_threshold=None,
        momentum=None,
        weight_decay_rate=None,
    ),
]
"""Adafactor with every flag that changes its chain, one at a time and all of them off."""


def own_rate(count: Any, exponent: Any) -> Any:
    """A user's decay rate."""
    return 1.0 - 1.0 / (count + 2.0) ** exponent


FACTORED = [
    Row("scale_by_factored_rms", lambda lib: lib.scale_by_factored_rms(True, 0.7, -1, 3, 1e-6), reduces=True),
    Row("scale_by_factored_rms_off", lambda lib: lib.scale_by_factored_rms(False, 0.7, -1, 3, 1e-6)),
    Row(
        "scale_by_factored_rms_own_rate",
        lambda lib: lib.scale_by_factored_rms(True, 0.7, -1, 3, 1e-6, own_rate),
        reduces=True,
    ),
]
UNITS = [
    Row("adaptive_grad_clip", lambda lib: lib.adaptive_grad_clip(0.3, 0.05), reduces=True),
    Row("adaptive_grad_clip_inactive", lambda lib: lib.adaptive_grad_clip(1e6, 0.05), reduces=True),
    Row("centralize", lambda lib: lib.centralize(), reduces=True),
    Row(
        "clip_units_adamw",
        lambda lib: lib.chain(lib.adaptive_grad_clip(0.3, 0.05), lib.centralize(), inner(lib)),
        reduces=True,
    ),
]
FLAT = [
    Row("flatten", lambda lib: lib.flatten(lib.adam(0.1, 0.8, 0.95, 1e-4, 1e-5))),
    Row(
        "flatten_norm",
        lambda lib: lib.flatten(lib.chain(lib.scale_by_trust_ratio(0.1, 0.7, 1e-3), lib.trace(0.7))),
        reduces=True,
    ),
]

ROWS = [*ADAFACTOR[:2], *FACTORED, *UNITS, *FLAT]

SM3 = [
    Row("scale_by_sm3", lambda lib: lib.scale_by_sm3(0.8, 0.9, 1e-3)),
    Row("scale_by_sm3_sum", lambda lib: lib.scale_by_sm3(0.8, 1.0, 1e-3)),
    Row("sm3", lambda lib: lib.sm3(0.1, 0.8)),
]


def mechanic(lib: Any, inner: Any) -> Any:
    return lib.contrib.mechanize(inner, 0.1, 1e-3, 0.01, 4)


MECHANIC = [
    Row("mechanize", lambda lib: mechanic(lib, inner(lib)), reduces=True),
    Row("mechanize_sgd", lambda lib: mechanic(lib, lib.sgd(decay(lib), 0.7)), reduces=True),
]
NOISE = [
    Row("add_noise", lambda lib: lib.add_noise(0.3, 0.6, 3)),
    Row("add_noise_key", lambda lib: lib.add_noise(0.3, 0.6, key=jax.random.key(7))),
    Row("noisy_sgd", lambda lib: lib.noisy_sgd(0.1, 0.3, 0.6, 5)),
    Row("noisy_sgd_schedule", lambda lib: lib.noisy_sgd(decay(lib), 0.3, 0.6, key=jax.random.key(7))),
]
PRIVATE = [
    Row(
        "differentially_private_aggregate",
        lambda lib: lib.contrib.differentially_private_aggregate(2.0, 0.3, 5),
        reduces=True,
    ),
    Row("dpsgd", lambda lib: lib.contrib.dpsgd(0.1, 2.0, 0.3, 5), reduces=True),
    Row("dpsgd_momentum", lambda lib: lib.contrib.dpsgd(decay(lib), 2.0, 0.3, 5, 0.8, True), reduces=True),
]

CASES = [
    *(Case(row, WITH_EMPTY) for row in [*ADAFACTOR, *FACTORED, *UNITS]),
    *(Case(row, AXES) for row in SM3),
    Case(Row("adaptive_grad_clip_axis", lambda lib: lib.adaptive_grad_clip(0.3, 0.05, 0), reduces=True), AXES),
    Case(
        Row("adaptive_grad_clip_axes", lambda lib: lib.adaptive_grad_clip(0.3, 0.05, (0, -1)), reduces=True),
        {name: shape for name, shape in AXES.items() if len(shape) > 1} | {"six": (2, 1, 3, 2, 1, 2)},
    ),
    *(Case(row, WITH_EMPTY, mixed=False) for row in MECHANIC),
    *(Case(row, FEW) for row in NOISE),
    *(Case(row, FEW, examples=3, mixed=False) for row in PRIVATE),
    Case(Row("masked_adafactor", lambda lib: lib.masked(ADAFACTOR[0].make(lib), matrices_only), reduces=True), AXES),
]
"""Rows over leaves of their own."""

LOOKAHEAD = [
    Row("lookahead", lambda lib: lib.lookahead(inner(lib), 3, 0.4)),
    Row("lookahead_reset", lambda lib: lib.lookahead(inner(lib), 3, 0.4, reset_state=True)),
    Row("lookahead_every_step", lambda lib: lib.lookahead(lib.sgd(halving(lib), 0.7), 1, 0.25)),
    Row("lookahead_adafactor", lambda lib: lib.lookahead(ADAFACTOR[0].make(lib), 2, 0.4, True), reduces=True),
]
COMPLEX = [
    Row("split", lambda lib: lib.contrib.split_real_and_imaginary(inner(lib))),
    Row(
        "split_norm",
        lambda lib: lib.contrib.split_real_and_imaginary(lib.chain(lib.clip_by_global_norm(0.7), lib.adam(0.1))),
        reduces=True,
    ),
]
