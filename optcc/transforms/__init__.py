"""Gradient transformations, a family a file: each is its formula over a builder, and nothing else.

This list has all of them but the optimizers, Optax's `transforms` among them.
"""

from typing import TYPE_CHECKING

from optcc.base import MaskedNode as MaskedNode
from optcc.example_clipping import per_example_global_norm_clip as per_example_global_norm_clip
from optcc.example_clipping import per_example_layer_norm_clip as per_example_layer_norm_clip
from optcc.missing_names import missing_name
from optcc.skipping import ShouldSkipUpdateFunction as ShouldSkipUpdateFunction
from optcc.skipping import skip_large_updates as skip_large_updates
from optcc.skipping import skip_not_finite as skip_not_finite
from optcc.transforms.accumulation import ApplyEvery as ApplyEvery
from optcc.transforms.accumulation import MultiSteps as MultiSteps
from optcc.transforms.accumulation import MultiStepsState as MultiStepsState
from optcc.transforms.accumulation import apply_every as apply_every
from optcc.transforms.adadelta import ScaleByAdaDeltaState as ScaleByAdaDeltaState
from optcc.transforms.adadelta import scale_by_adadelta as scale_by_adadelta
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
from optcc.transforms.combining import chain as chain
from optcc.transforms.combining import named_chain as named_chain
from optcc.transforms.conditional import ApplyIfFiniteState as ApplyIfFiniteState
from optcc.transforms.conditional import ConditionallyMaskState as ConditionallyMaskState
from optcc.transforms.conditional import ConditionallyTransformState as ConditionallyTransformState
from optcc.transforms.conditional import ConditionFn as ConditionFn
from optcc.transforms.conditional import MaybeUpdateState as MaybeUpdateState
from optcc.transforms.conditional import apply_if_finite as apply_if_finite
from optcc.transforms.conditional import conditionally_mask as conditionally_mask
from optcc.transforms.conditional import conditionally_transform as conditionally_transform
from optcc.transforms.conditional import maybe_update as maybe_update
from optcc.transforms.distance_over_gradients import (
    scale_by_distance_over_gradients as scale_by_distance_over_gradients,
)
from optcc.transforms.factored import FactoredState as FactoredState
from optcc.transforms.factored import scale_by_factored_rms as scale_by_factored_rms
from optcc.transforms.flattening import flatten as flatten
from optcc.transforms.freezing import freeze as freeze
from optcc.transforms.freezing import selective_transform as selective_transform
from optcc.transforms.guards import NonNegativeParamsState as NonNegativeParamsState
from optcc.transforms.guards import ZeroNansState as ZeroNansState
from optcc.transforms.guards import keep_params_nonnegative as keep_params_nonnegative
from optcc.transforms.guards import set_to_zero as set_to_zero
from optcc.transforms.guards import zero_nans as zero_nans
from optcc.transforms.injection import InjectHyperparamsState as InjectHyperparamsState
from optcc.transforms.injection import InjectStatefulHyperparamsState as InjectStatefulHyperparamsState
from optcc.transforms.injection import inject_hyperparams as inject_hyperparams
from optcc.transforms.label_groups import MultiTransformState as MultiTransformState
from optcc.transforms.label_groups import PartitionState as PartitionState
from optcc.transforms.label_groups import multi_transform as multi_transform
from optcc.transforms.label_groups import partition as partition
from optcc.transforms.leaf_norms import clip_by_block_rms as clip_by_block_rms
from optcc.transforms.leaf_norms import scale_by_param_block_norm as scale_by_param_block_norm
from optcc.transforms.leaf_norms import scale_by_param_block_rms as scale_by_param_block_rms
from optcc.transforms.lookahead import LookaheadState as LookaheadState
from optcc.transforms.lookahead import lookahead as lookahead
from optcc.transforms.loss_value import scale_by_polyak as scale_by_polyak
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
from optcc.transforms.monitoring import MonitorState as MonitorState
from optcc.transforms.monitoring import SnapshotState as SnapshotState
from optcc.transforms.monitoring import measure_with_ema as measure_with_ema
from optcc.transforms.monitoring import monitor as monitor
from optcc.transforms.monitoring import snapshot as snapshot
from optcc.transforms.nesterov import ScaleByAdanState as ScaleByAdanState
from optcc.transforms.nesterov import scale_by_adan as scale_by_adan
from optcc.transforms.noise import AddNoiseState as AddNoiseState
from optcc.transforms.noise import DifferentiallyPrivateAggregateState as DifferentiallyPrivateAggregateState
from optcc.transforms.noise import add_noise as add_noise
from optcc.transforms.noise import differentially_private_aggregate as differentially_private_aggregate
from optcc.transforms.normalizing import normalize_by_update_norm as normalize_by_update_norm
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
from optcc.transforms.signs import ScaleByRpropState as ScaleByRpropState
from optcc.transforms.signs import scale_by_rprop as scale_by_rprop
from optcc.transforms.signs import scale_by_sign as scale_by_sign
from optcc.transforms.sm3 import ScaleBySM3State as ScaleBySM3State
from optcc.transforms.sm3 import scale_by_sm3 as scale_by_sm3
from optcc.transforms.stateless import stateless as stateless
from optcc.transforms.stateless import stateless_with_tree_map as stateless_with_tree_map
from optcc.transforms.unit_norms import AdaptiveGradClipState as AdaptiveGradClipState
from optcc.transforms.unit_norms import adaptive_grad_clip as adaptive_grad_clip
from optcc.transforms.unit_norms import centralize as centralize
from optcc.unit_clipping import unitwise_clip as unitwise_clip
from optcc.unit_clipping import unitwise_norm as unitwise_norm

if not TYPE_CHECKING:  # checkers should still know which names there are
    __getattr__ = missing_name(__name__)
