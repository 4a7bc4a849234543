"""optcc, an optimizer compiler for JAX.

This list is the public API. Authors of transformations and passes find theirs in `optcc.builder`, `optcc.dialect` and
`optcc.passes`. All other modules are private.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optcc import contrib as contrib
from optcc import experimental as experimental
from optcc import losses as losses
from optcc import schedules as schedules
from optcc import second_order as second_order
from optcc import transforms as transforms
from optcc import tree as tree
from optcc import tree_utils as tree_utils
from optcc.apply import apply_updates as apply_updates
from optcc.base import EmptyState as EmptyState
from optcc.base import GradientTransformation as GradientTransformation
from optcc.base import GradientTransformationExtraArgs as GradientTransformationExtraArgs
from optcc.base import LookaheadParams as LookaheadParams
from optcc.base import MaskedNode as MaskedNode
from optcc.base import MaskOrFn as MaskOrFn
from optcc.base import OptState as OptState
from optcc.base import Params as Params
from optcc.base import ScalarOrSchedule as ScalarOrSchedule
from optcc.base import Schedule as Schedule
from optcc.base import TransformInitFn as TransformInitFn
from optcc.base import TransformUpdateExtraArgsFn as TransformUpdateExtraArgsFn
from optcc.base import TransformUpdateFn as TransformUpdateFn
from optcc.base import Updates as Updates
from optcc.base import with_extra_args_support as with_extra_args_support
from optcc.compilation import compile as compile  # noqa: A004
from optcc.compilation import compile_module as compile_module
from optcc.distributions import multi_normal as multi_normal
from optcc.errors import ExpressionError as ExpressionError
from optcc.errors import OptccError as OptccError
from optcc.errors import ParamsError as ParamsError
from optcc.errors import PipelineError as PipelineError
from optcc.errors import PluginError as PluginError
from optcc.errors import TreeMismatchError as TreeMismatchError
from optcc.gradient_scaling import scale_gradient as scale_gradient
from optcc.linear_algebra import global_norm as global_norm
from optcc.linear_algebra import matrix_inverse_pth_root as matrix_inverse_pth_root
from optcc.linear_algebra import power_iteration as power_iteration
from optcc.losses import convex_kl_divergence as convex_kl_divergence
from optcc.losses import cosine_distance as cosine_distance
from optcc.losses import cosine_similarity as cosine_similarity
from optcc.losses import ctc_loss as ctc_loss
from optcc.losses import ctc_loss_with_forward_probs as ctc_loss_with_forward_probs
from optcc.losses import hinge_loss as hinge_loss
from optcc.losses import huber_loss as huber_loss
from optcc.losses import kl_divergence as kl_divergence
from optcc.losses import l2_loss as l2_loss
from optcc.losses import log_cosh as log_cosh
from optcc.losses import sigmoid_binary_cross_entropy as sigmoid_binary_cross_entropy
from optcc.losses import smooth_labels as smooth_labels
from optcc.losses import softmax_cross_entropy as softmax_cross_entropy
from optcc.losses import softmax_cross_entropy_with_integer_labels as softmax_cross_entropy_with_integer_labels
from optcc.losses import squared_error as squared_error
from optcc.monte_carlo import control_delta_method as control_delta_method
from optcc.monte_carlo import control_variates_jacobians as control_variates_jacobians
from optcc.monte_carlo import measure_valued_jacobians as measure_valued_jacobians
from optcc.monte_carlo import moving_avg_baseline as moving_avg_baseline
from optcc.monte_carlo import pathwise_jacobians as pathwise_jacobians
from optcc.monte_carlo import score_function_jacobians as score_function_jacobians
from optcc.numerics import abs_sq as abs_sq
from optcc.numerics import safe_increment as safe_increment
from optcc.numerics import safe_int32_increment as safe_int32_increment
from optcc.numerics import safe_norm as safe_norm
from optcc.numerics import safe_root_mean_squares as safe_root_mean_squares
from optcc.runtime import native as _native
from optcc.schedules import constant_schedule as constant_schedule
from optcc.schedules import cosine_decay_schedule as cosine_decay_schedule
from optcc.schedules import cosine_onecycle_schedule as cosine_onecycle_schedule
from optcc.schedules import exponential_decay as exponential_decay
from optcc.schedules import join_schedules as join_schedules
from optcc.schedules import linear_onecycle_schedule as linear_onecycle_schedule
from optcc.schedules import linear_schedule as linear_schedule
from optcc.schedules import piecewise_constant_schedule as piecewise_constant_schedule
from optcc.schedules import piecewise_interpolate_schedule as piecewise_interpolate_schedule
from optcc.schedules import polynomial_schedule as polynomial_schedule
from optcc.schedules import sgdr_schedule as sgdr_schedule
from optcc.schedules import warmup_cosine_decay_schedule as warmup_cosine_decay_schedule
from optcc.schedules import warmup_exponential_decay_schedule as warmup_exponential_decay_schedule
from optcc.second_order import fisher_diag as fisher_diag
from optcc.second_order import hessian_diag as hessian_diag
from optcc.second_order import hvp as hvp
from optcc.skipping import ShouldSkipUpdateFunction as ShouldSkipUpdateFunction
from optcc.skipping import skip_large_updates as skip_large_updates
from optcc.skipping import skip_not_finite as skip_not_finite
from optcc.slow_copies import incremental_update as incremental_update
from optcc.slow_copies import periodic_update as periodic_update
from optcc.transforms.accumulation import ApplyEvery as ApplyEvery
from optcc.transforms.accumulation import MultiSteps as MultiSteps
from optcc.transforms.accumulation import MultiStepsState as MultiStepsState
from optcc.transforms.accumulation import apply_every as apply_every
from optcc.transforms.adam_variants import ScaleByAmsgradState as ScaleByAmsgradState
from optcc.transforms.adam_variants import ScaleByBeliefState as ScaleByBeliefState
from optcc.transforms.adam_variants import scale_by_adamax as scale_by_adamax
from optcc.transforms.adam_variants import scale_by_amsgrad as scale_by_amsgrad
from optcc.transforms.adam_variants import scale_by_belief as scale_by_belief
from optcc.transforms.adam_variants import scale_by_radam as scale_by_radam
from optcc.transforms.adam_variants import scale_by_yogi as scale_by_yogi
from optcc.transforms.adaptive import ScaleByNovogradState as ScaleByNovogradState
from optcc.transforms.adaptive import ScaleByOptimisticGradientState as ScaleByOptimisticGradientState
from optcc.transforms.adaptive import ScaleByRssState as ScaleByRssState
from optcc.transforms.adaptive import ScaleByRStdDevState as ScaleByRStdDevState
from optcc.transforms.adaptive import ScaleByRStdDevWithCountState as ScaleByRStdDevWithCountState
from optcc.transforms.adaptive import scale_by_novograd as scale_by_novograd
from optcc.transforms.adaptive import scale_by_optimistic_gradient as scale_by_optimistic_gradient
from optcc.transforms.adaptive import scale_by_rss as scale_by_rss
from optcc.transforms.adaptive import scale_by_stddev as scale_by_stddev
from optcc.transforms.adaptive_optimizers import adabelief as adabelief
from optcc.transforms.adaptive_optimizers import adagrad as adagrad
from optcc.transforms.adaptive_optimizers import adamax as adamax
from optcc.transforms.adaptive_optimizers import adamaxw as adamaxw
from optcc.transforms.adaptive_optimizers import amsgrad as amsgrad
from optcc.transforms.adaptive_optimizers import fromage as fromage
from optcc.transforms.adaptive_optimizers import lars as lars
from optcc.transforms.adaptive_optimizers import novograd as novograd
from optcc.transforms.adaptive_optimizers import optimistic_gradient_descent as optimistic_gradient_descent
from optcc.transforms.adaptive_optimizers import radam as radam
from optcc.transforms.adaptive_optimizers import yogi as yogi
from optcc.transforms.combining import chain as chain
from optcc.transforms.conditional import ApplyIfFiniteState as ApplyIfFiniteState
from optcc.transforms.conditional import MaybeUpdateState as MaybeUpdateState
from optcc.transforms.conditional import apply_if_finite as apply_if_finite
from optcc.transforms.conditional import maybe_update as maybe_update
from optcc.transforms.factored import FactoredState as FactoredState
from optcc.transforms.factored import adafactor as adafactor
from optcc.transforms.factored import scale_by_factored_rms as scale_by_factored_rms
from optcc.transforms.flattening import flatten as flatten
from optcc.transforms.guards import NonNegativeParamsState as NonNegativeParamsState
from optcc.transforms.guards import ZeroNansState as ZeroNansState
from optcc.transforms.guards import keep_params_nonnegative as keep_params_nonnegative
from optcc.transforms.guards import set_to_zero as set_to_zero
from optcc.transforms.guards import zero_nans as zero_nans
from optcc.transforms.injection import InjectHyperparamsState as InjectHyperparamsState
from optcc.transforms.injection import InjectStatefulHyperparamsState as InjectStatefulHyperparamsState
from optcc.transforms.injection import inject_hyperparams as inject_hyperparams
from optcc.transforms.label_groups import MultiTransformState as MultiTransformState
from optcc.transforms.label_groups import multi_transform as multi_transform
from optcc.transforms.leaf_norms import clip_by_block_rms as clip_by_block_rms
from optcc.transforms.leaf_norms import scale_by_param_block_norm as scale_by_param_block_norm
from optcc.transforms.leaf_norms import scale_by_param_block_rms as scale_by_param_block_rms
from optcc.transforms.lookahead import LookaheadState as LookaheadState
from optcc.transforms.lookahead import lookahead as lookahead
from optcc.transforms.masking import MaskedState as MaskedState
from optcc.transforms.masking import masked as masked
from optcc.transforms.moments import EmaState as EmaState
from optcc.transforms.moments import ScaleByAdamState as ScaleByAdamState
from optcc.transforms.moments import ScaleByLionState as ScaleByLionState
from optcc.transforms.moments import ScaleByRmsState as ScaleByRmsState
from optcc.transforms.moments import ScaleByRmsWithCountState as ScaleByRmsWithCountState
from optcc.transforms.moments import TraceState as TraceState
from optcc.transforms.moments import ema as ema
from optcc.transforms.moments import scale_by_adam as scale_by_adam
from optcc.transforms.moments import scale_by_lion as scale_by_lion
from optcc.transforms.moments import scale_by_rms as scale_by_rms
from optcc.transforms.moments import trace as trace
from optcc.transforms.noise import AddNoiseState as AddNoiseState
from optcc.transforms.noise import DifferentiallyPrivateAggregateState as DifferentiallyPrivateAggregateState
from optcc.transforms.noise import add_noise as add_noise
from optcc.transforms.noise import differentially_private_aggregate as differentially_private_aggregate
from optcc.transforms.noise import dpsgd as dpsgd
from optcc.transforms.noise import noisy_sgd as noisy_sgd
from optcc.transforms.optimizers import adam as adam
from optcc.transforms.optimizers import adamw as adamw
from optcc.transforms.optimizers import lamb as lamb
from optcc.transforms.optimizers import lion as lion
from optcc.transforms.optimizers import rmsprop as rmsprop
from optcc.transforms.optimizers import sgd as sgd
from optcc.transforms.scaling import AddDecayedWeightsState as AddDecayedWeightsState
from optcc.transforms.scaling import ClipByGlobalNormState as ClipByGlobalNormState
from optcc.transforms.scaling import ClipState as ClipState
from optcc.transforms.scaling import ScaleByScheduleState as ScaleByScheduleState
from optcc.transforms.scaling import ScaleByTrustRatioState as ScaleByTrustRatioState
from optcc.transforms.scaling import ScaleState as ScaleState
from optcc.transforms.scaling import WeightDecaySchedule as WeightDecaySchedule
from optcc.transforms.scaling import add_decayed_weights as add_decayed_weights
from optcc.transforms.scaling import clip as clip
from optcc.transforms.scaling import clip_by_global_norm as clip_by_global_norm
from optcc.transforms.scaling import identity as identity
from optcc.transforms.scaling import scale as scale
from optcc.transforms.scaling import scale_by_learning_rate as scale_by_learning_rate
from optcc.transforms.scaling import scale_by_schedule as scale_by_schedule
from optcc.transforms.scaling import scale_by_trust_ratio as scale_by_trust_ratio
from optcc.transforms.sm3 import ScaleBySM3State as ScaleBySM3State
from optcc.transforms.sm3 import scale_by_sm3 as scale_by_sm3
from optcc.transforms.sm3 import sm3 as sm3
from optcc.transforms.stateless import stateless as stateless
from optcc.transforms.stateless import stateless_with_tree_map as stateless_with_tree_map
from optcc.transforms.unit_norms import AdaptiveGradClipState as AdaptiveGradClipState
from optcc.transforms.unit_norms import adaptive_grad_clip as adaptive_grad_clip
from optcc.transforms.unit_norms import centralize as centralize
from optcc.tree_utils.moments import bias_correction as bias_correction
from optcc.tree_utils.moments import update_infinity_moment as update_infinity_moment
from optcc.tree_utils.moments import update_moment as update_moment
from optcc.tree_utils.moments import update_moment_per_elem_norm as update_moment_per_elem_norm
from optcc.tree_utils.states import tree_map_params as tree_map_params

if TYPE_CHECKING:
    from optcc.runtime.optimizer import CompiledOptimizer as CompiledOptimizer

__version__ = "0.1.0"

_native.register()


def __getattr__(name: str) -> Any:
    if name == "CompiledOptimizer":  # imports the compiler, so only on request
        from optcc.runtime.optimizer import CompiledOptimizer

        return CompiledOptimizer
    raise AttributeError(f"module 'optcc' has no attribute {name!r}")
