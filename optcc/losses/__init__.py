"""Losses: plain JAX functions, elementwise or along an axis, never averaged over a batch."""

from typing import TYPE_CHECKING

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
from optcc.losses.divergence import generalized_kl_divergence as generalized_kl_divergence
from optcc.losses.divergence import kl_divergence as kl_divergence
from optcc.losses.divergence import kl_divergence_with_log_targets as kl_divergence_with_log_targets
from optcc.losses.embeddings import ntxent as ntxent
from optcc.losses.embeddings import triplet_margin_loss as triplet_margin_loss
from optcc.losses.entropies import poly_loss_cross_entropy as poly_loss_cross_entropy
from optcc.losses.entropies import ranking_softmax_loss as ranking_softmax_loss
from optcc.losses.entropies import safe_softmax_cross_entropy as safe_softmax_cross_entropy
from optcc.losses.entropies import sigmoid_focal_loss as sigmoid_focal_loss
from optcc.losses.margins import make_fenchel_young_loss as make_fenchel_young_loss
from optcc.losses.margins import multiclass_hinge_loss as multiclass_hinge_loss
from optcc.losses.margins import multiclass_perceptron_loss as multiclass_perceptron_loss
from optcc.losses.margins import multiclass_sparsemax_loss as multiclass_sparsemax_loss
from optcc.losses.margins import perceptron_loss as perceptron_loss
from optcc.losses.margins import sparsemax_loss as sparsemax_loss
from optcc.losses.regression import huber_loss as huber_loss
from optcc.losses.regression import l2_loss as l2_loss
from optcc.losses.regression import log_cosh as log_cosh
from optcc.losses.regression import squared_error as squared_error
from optcc.losses.segmentation import binary_dice_loss as binary_dice_loss
from optcc.losses.segmentation import dice_loss as dice_loss
from optcc.losses.segmentation import multiclass_generalized_dice_loss as multiclass_generalized_dice_loss
from optcc.losses.similarity import cosine_distance as cosine_distance
from optcc.losses.similarity import cosine_similarity as cosine_similarity
from optcc.missing_names import missing_name

if not TYPE_CHECKING:  # checkers should still know which names there are
    __getattr__ = missing_name(__name__)
