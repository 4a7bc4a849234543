"""Optax's chains, each with optcc's own of the same formula, and what compares the two."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import optcc
from optcc.report import cost_of
from optcc.report.cost import Cost
from tests.trees import matrices_only, ragged

Make = Callable[[Any], Any]


def by_rank(params: Any) -> Any:
    """A label for each leaf."""
    return jax.tree.map(lambda x: "matrix" if x.ndim > 1 else "other", params)


def parts(lib: Any) -> Any:
    """A chain for each label."""
    return lib.partition({"matrix": lib.adamw(1e-2), "other": lib.sgd(0.1, 0.9)}, by_rank)


CHAINS: dict[str, Make] = {
    "sgd": lambda lib: lib.sgd(1e-3, momentum=0.9),
    "nesterov": lambda lib: lib.sgd(1e-3, momentum=0.9, nesterov=True),
    "adamw": lambda lib: lib.adamw(1e-3),
    "clip": lambda lib: lib.chain(lib.clip_by_global_norm(0.7), lib.adamw(0.1, 0.8, 0.95, 1e-4, 1e-5)),
    "lamb": lambda lib: lib.lamb(0.1, 0.8, 0.95, 1e-4, 1e-5, 0.05),
    "lion": lambda lib: lib.lion(0.1, 0.8, 0.95),
    "rmsprop": lambda lib: lib.rmsprop(0.1, 0.8, 1e-4, momentum=0.9, centered=True),
    "masked decay": lambda lib: lib.adamw(0.1, weight_decay=0.05, mask=matrices_only),
    "partition": parts,
    "schedule": lambda lib: lib.adam(lib.warmup_cosine_decay_schedule(0.01, 0.1, 3, 9, 0.02, 1.5)),
    "bfloat16 moment": lambda lib: lib.adamw(0.1, mu_dtype=jnp.bfloat16),
    "clip by block": lambda lib: lib.chain(lib.clip_by_block_rms(0.3), lib.scale(-0.1)),
    "novograd": lambda lib: lib.novograd(0.1, 0.8, 0.5),
    "skip": lambda lib: lib.apply_if_finite(lib.adamw(0.1), 2),
}


def gradients(step: int, dtype: Any = jnp.float32) -> Any:
    return ragged(100 + step, dtype)


def opaque_parts(compiled: Any) -> Mapping[str, str]:
    """The opaque calls of a program, with the reasons for which they were not imported."""
    return {name: getattr(f, "why", "") for name, f in compiled.program.callables.items()}


def cost(tx: Any, params: Any, **options: Any) -> Cost:
    return cost_of(optcc.compile(tx, params, **options).staged.program.step.op)


def follow(tx: Any, params: Any, gradients: Callable[[int], Any], *, steps: int = 10, rtol: float = 1e-5) -> Any:
    """Ten steps of the original and of what was compiled from it; the optimizer compiled."""
    compiled = optcc.compile(tx, params)
    expected, state = params, tx.init(params)
    got, kept = jax.tree.map(jnp.copy, params), compiled.init(params)
    update = jax.jit(tx.update)
    for step in range(steps):
        grads = gradients(step)
        updates, state = update(grads, state, expected)
        expected = optax.apply_updates(expected, updates)
        got, kept = compiled.step(grads, kept, got)
    same((got, kept), (expected, state), rtol)
    return compiled


def same(got: Any, expected: Any, rtol: float) -> None:
    """One structure, dtypes and shapes; numbers within `rtol` of the largest of their leaf."""
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for x, y in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        assert (x.dtype, x.shape) == (y.dtype, y.shape)
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        scale = max(1e-3, float(np.max(np.abs(y[np.isfinite(y)]), initial=0.0)))
        np.testing.assert_allclose(x, y, rtol=0, atol=rtol * scale)
