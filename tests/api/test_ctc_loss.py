"""The CTC loss against Optax, and against the sum over all alignments."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from optcc import losses


def ctc_case(seed: int, batch: int, frames: int, classes: int, length: int, blank: int) -> tuple[jax.Array, ...]:
    rng = np.random.default_rng(seed)
    logits = 3.0 * rng.normal(size=(batch, frames, classes))
    logit_paddings = rng.random((batch, frames)) < 0.2
    labels = (blank + rng.integers(1, classes, (batch, length))) % classes
    label_paddings = np.arange(length)[None] >= rng.integers(0, length + 1, (batch, 1))
    return tuple(
        jnp.asarray(a, dtype)
        for a, dtype in [(logits, "f"), (logit_paddings, "f"), (labels, "i"), (label_paddings, "f")]
    )


@pytest.mark.parametrize(
    ("seed", "batch", "frames", "classes", "length", "blank"),
    [(0, 2, 9, 4, 3, 0), (1, 3, 8, 3, 4, 1), (2, 1, 5, 5, 1, 4), (3, 2, 4, 2, 0, 0), (4, 2, 1, 3, 1, 0)],
)
def test_ctc_matches_optax(seed: int, batch: int, frames: int, classes: int, length: int, blank: int) -> None:
    logits, *rest = ctc_case(seed, batch, frames, classes, length, blank)
    keywords = {"blank_id": blank, "log_epsilon": -1e4}

    @jax.jit
    def both(logits: jax.Array) -> list[Any]:
        def forward(lib: Any, x: jax.Array) -> Any:
            outputs = lib.ctc_loss_with_forward_probs(x, *rest, **keywords)
            return outputs[0].sum(), outputs

        return [jax.value_and_grad(lambda x, lib=lib: forward(lib, x), has_aux=True)(logits) for lib in (losses, optax)]

    ((_, got), gradient), ((_, want), want_gradient) = both(logits)
    for g, w in zip(got, want, strict=True):
        assert g.shape == w.shape
        assert g.dtype == w.dtype
        np.testing.assert_allclose(g, w, rtol=1e-5, atol=1e-5)
    # With more labels than fit: a softmax of numbers near 1e4, where float32 keeps three decimals.
    np.testing.assert_allclose(gradient, want_gradient, atol=5e-3 if got[0].max() > 5e3 else 2e-5)


def enumerated(log_probs: np.ndarray, labels: list[int], blank: int) -> float:
    """The loss as the definition has it: the sum over every alignment."""
    total = 0.0
    for path in itertools.product(range(log_probs.shape[1]), repeat=log_probs.shape[0]):
        merged = [c for i, c in enumerate(path) if i == 0 or c != path[i - 1]]
        if [c for c in merged if c != blank] == labels:
            total += np.exp(sum(log_probs[t, c] for t, c in enumerate(path)))
    return -np.log(total)


def test_ctc_sums_over_alignments() -> None:
    """Against every alignment, with a padded frame of NaN in the middle and padded labels out of range."""
    sequences = [[1, 2], [1, 1], [2], []]
    logits = jnp.asarray(np.random.default_rng(5).normal(size=(4, 6, 3)), jnp.float32).at[:, 2].set(jnp.nan)
    frame_padding = jnp.zeros((4, 6), bool).at[:, 2].set(True)
    labels = jnp.asarray([sequence + [-1] * (3 - len(sequence)) for sequence in sequences])

    def total(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        loss = losses.ctc_loss(x, frame_padding, labels, labels < 0)
        return loss.sum(), loss

    gradient, loss = jax.jit(jax.grad(total, has_aux=True))(logits)
    log_probs = np.asarray(jax.nn.log_softmax(jnp.delete(logits, 2, axis=1)), np.float64)
    np.testing.assert_allclose(
        loss, [enumerated(p, s, 0) for p, s in zip(log_probs, sequences, strict=True)], rtol=1e-5
    )
    assert jnp.isfinite(gradient).all()
    assert not gradient[:, 2].any()
    assert gradient[:, 3].any(axis=-1).all()


def test_ctc_edges() -> None:
    logits, logit_paddings, labels, label_paddings = ctc_case(0, 2, 9, 4, 3, 0)
    ctc_loss = jax.jit(losses.ctc_loss)
    half = ctc_loss(logits.astype(jnp.bfloat16), logit_paddings, labels, label_paddings)
    assert half.dtype == jnp.float32
    np.testing.assert_allclose(half, ctc_loss(logits, logit_paddings, labels, label_paddings), rtol=2e-2)
    no_frames = ctc_loss(logits[:, :0], logit_paddings[:, :0], labels, jnp.array([[1, 1, 1], [0, 1, 1]]))
    np.testing.assert_allclose(no_frames, [0.0, 1e5], rtol=1e-4)
    wrong = ctc_loss(logits, 0 * logit_paddings, labels.at[0, 0].set(4), 0 * label_paddings)
    np.testing.assert_array_equal(jnp.isnan(wrong), [True, False])
    slope = jax.jit(jax.grad(lambda x: losses.ctc_loss(1e4 * x, logit_paddings, labels, label_paddings).sum()))
    assert jnp.isfinite(slope(logits)).all()
