"""Losses: plain JAX functions, elementwise or along an axis, never averaged over a batch."""

from optcc.losses.classification import hinge_loss as hinge_loss
from optcc.losses.classification import sigmoid_binary_cross_entropy as sigmoid_binary_cross_entropy
from optcc.losses.classification import smooth_labels as smooth_labels
from optcc.losses.classification import softmax_cross_entropy as softmax_cross_entropy
from optcc.losses.classification import (
    softmax_cross_entropy_with_integer_labels as softmax_cross_entropy_with_integer_labels,
)
from optcc.losses.ctc import ctc_loss as ctc_loss
from optcc.losses.ctc import ctc_loss_with_forward_probs as ctc_loss_with_forward_probs
from optcc.losses.divergence import convex_kl_divergence as convex_kl_divergence
from optcc.losses.divergence import kl_divergence as kl_divergence
from optcc.losses.regression import huber_loss as huber_loss
from optcc.losses.regression import l2_loss as l2_loss
from optcc.losses.regression import log_cosh as log_cosh
from optcc.losses.regression import squared_error as squared_error
from optcc.losses.similarity import cosine_distance as cosine_distance
from optcc.losses.similarity import cosine_similarity as cosine_similarity
