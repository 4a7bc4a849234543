"""The text of every error of the losses."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from optcc import losses

X = jnp.ones((2, 3))
I = jnp.ones((2, 3), int)  # noqa: E741
CTC = (jnp.ones((2, 4, 3)), jnp.zeros((2, 4)), jnp.ones((2, 2), int), jnp.zeros((2, 2)))


def ctc_with(position: int, value: Any) -> tuple[Any, ...]:
    return (*CTC[:position], value, *CTC[position + 1 :])


Case = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], type[Exception], str]
ERRORS: list[Case] = [
    (losses.squared_error, (I, X), {}, TypeError, "squared_error: predictions must have a floating-point.*int32"),
    (losses.l2_loss, (X, X[:, :1]), {}, ValueError, r"l2_loss: .*\(2, 3\), targets \(2, 1\); reshape"),
    (losses.squared_error, (X, 1.0), {}, ValueError, r"\(2, 3\), targets \(\)"),
    (losses.huber_loss, (I,), {}, TypeError, "huber_loss: predictions"),
    (losses.huber_loss, (X,), {"delta": -1.0}, ValueError, "huber_loss: delta must not be negative, got -1.0"),
    (losses.log_cosh, (X, X[:, :2]), {}, ValueError, r"predictions \(2, 3\), targets \(2, 2\)"),
    (losses.hinge_loss, (X, X[:, :2]), {}, ValueError, "hinge_loss: shapes do not broadcast"),
    (losses.hinge_loss, (X, X.astype(jnp.complex64)), {}, TypeError, "targets must be real, got complex64"),
    (losses.sigmoid_binary_cross_entropy, (X, [1.0]), {}, TypeError, "labels must be an array .* got list"),
    (losses.sigmoid_binary_cross_entropy, (X, None), {}, TypeError, "got NoneType"),
    (losses.sigmoid_binary_cross_entropy, (I, X), {}, TypeError, "logits must have a floating-point"),
    (losses.softmax_cross_entropy, (X, X[:, :2]), {}, ValueError, r"logits \(2, 3\), labels \(2, 2\)"),
    (losses.softmax_cross_entropy, (X, X), {"axis": 2}, ValueError, r"axis 2 is out of range for shape \(2, 3\)"),
    (losses.softmax_cross_entropy, (X, X), {"axis": (0, -2)}, ValueError, "names one axis of shape .* twice"),
    (losses.softmax_cross_entropy, (X, X), {"where": I}, TypeError, "where must be boolean, got int32"),
    (losses.kl_divergence, (X, X), {"where": I[0, :2] > 0}, ValueError, r"where has shape \(2,\)"),
    (losses.kl_divergence, (X, I), {}, TypeError, "kl_divergence: targets must have a floating-point"),
    (losses.generalized_kl_divergence, (1.0, 1.0), {}, ValueError, r"axis -1 is out of range for shape \(\)"),
    (losses.cosine_similarity, (X, I), {}, TypeError, "cosine_similarity: targets"),
    (losses.cosine_distance, (X, X[:, :2]), {}, ValueError, "shapes do not broadcast"),
    (losses.smooth_labels, (I, 0.1), {}, TypeError, "smooth_labels: labels must have a floating-point"),
    (losses.softmax_cross_entropy_with_integer_labels, (X, X[:, 0]), {}, TypeError, "integer dtype, got float32"),
    (losses.softmax_cross_entropy_with_integer_labels, (X, I), {}, ValueError, r"labels have shape \(2, 3\), logits"),
    (losses.softmax_cross_entropy_with_integer_labels, (X, I[0]), {}, ValueError, r"per distribution, shape \(2,\)"),
    (losses.softmax_cross_entropy_with_integer_labels, (X, I[0, 0]), {"axis": None}, ValueError, "got None"),
    (losses.ctc_loss, ctc_with(0, X), {}, ValueError, r"logits must have shape .* got \(2, 3\)"),
    (losses.ctc_loss, ctc_with(0, jnp.ones((2, 4, 3), int)), {}, TypeError, "logits must have a floating-point"),
    (losses.ctc_loss, ctc_with(1, X), {}, ValueError, r"logit_paddings must have shape \(2, 4\)"),
    (losses.ctc_loss, ctc_with(2, X), {}, TypeError, "labels must have an integer"),
    (losses.ctc_loss, ctc_with(2, I[:1]), {}, ValueError, r"labels must have shape \(2, number of labels\)"),
    (losses.ctc_loss, ctc_with(3, X), {}, ValueError, r"label_paddings must have the shape of labels, \(2, 2\)"),
    (losses.ctc_loss, CTC, {"blank_id": 3}, ValueError, r"blank_id must be a class in \[0, 3\), got 3"),
    (losses.ctc_loss, CTC, {"blank_id": -1}, ValueError, "got -1"),
]


@pytest.mark.parametrize(("loss", "args", "kwargs", "error", "message"), ERRORS)
def test_errors(
    loss: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        loss(*args, **kwargs)
    with pytest.raises(error, match=message):  # traced arguments are refused alike
        jax.eval_shape(lambda first: loss(first, *args[1:], **kwargs), args[0])
