"""The names that Optax has under `contrib`."""

from typing import TYPE_CHECKING

from optcc.base import SplitRealAndImaginaryArrays as SplitRealAndImaginaryArrays
from optcc.matrix_views import MuonDimensionNumbers as MuonDimensionNumbers
from optcc.missing_names import missing_name
from optcc.signatures import resolve_schedules
from optcc.transforms.ademamix import ScaleByAdemamixState as ScaleByAdemamixState
from optcc.transforms.ademamix import ScaleBySimplifiedAdEMAMixState as ScaleBySimplifiedAdEMAMixState
from optcc.transforms.ademamix import ademamix as ademamix
from optcc.transforms.ademamix import scale_by_ademamix as scale_by_ademamix
from optcc.transforms.ademamix import scale_by_simplified_ademamix as scale_by_simplified_ademamix
from optcc.transforms.ademamix import simplified_ademamix as simplified_ademamix
from optcc.transforms.delayed_moments import acprop as acprop
from optcc.transforms.delayed_moments import adopt as adopt
from optcc.transforms.delayed_moments import scale_by_acprop as scale_by_acprop
from optcc.transforms.delayed_moments import scale_by_adopt as scale_by_adopt
from optcc.transforms.distance_over_gradients import DoGState as DoGState
from optcc.transforms.distance_over_gradients import DoWGState as DoWGState
from optcc.transforms.distance_over_gradients import dog as dog
from optcc.transforms.distance_over_gradients import dowg as dowg
from optcc.transforms.flattening import SplitRealAndImaginaryState as SplitRealAndImaginaryState
from optcc.transforms.flattening import split_real_and_imaginary as split_real_and_imaginary
from optcc.transforms.from_the_start import COCOBState as COCOBState
from optcc.transforms.from_the_start import MadgradState as MadgradState
from optcc.transforms.from_the_start import cocob as cocob
from optcc.transforms.from_the_start import madgrad as madgrad
from optcc.transforms.from_the_start import scale_by_cocob as scale_by_cocob
from optcc.transforms.from_the_start import scale_by_madgrad as scale_by_madgrad
from optcc.transforms.galore import GaLoreDimensionNumbers as GaLoreDimensionNumbers
from optcc.transforms.galore import GaLoreState as GaLoreState
from optcc.transforms.galore import galore as galore
from optcc.transforms.galore import scale_by_galore as scale_by_galore
from optcc.transforms.learned_rates import DAdaptAdamWState as DAdaptAdamWState
from optcc.transforms.learned_rates import ProdigyState as ProdigyState
from optcc.transforms.learned_rates import dadapt_adamw as dadapt_adamw
from optcc.transforms.learned_rates import prodigy as prodigy
from optcc.transforms.loss_value import ReduceLROnPlateauState as ReduceLROnPlateauState
from optcc.transforms.loss_value import reduce_on_plateau as reduce_on_plateau
from optcc.transforms.mechanic import MechanicState as MechanicState
from optcc.transforms.mechanic import mechanize as mechanize
from optcc.transforms.momo import MomoAdamState as MomoAdamState
from optcc.transforms.momo import MomoState as MomoState
from optcc.transforms.momo import momo as momo
from optcc.transforms.momo import momo_adam as momo_adam
from optcc.transforms.muon import MuonState as MuonState
from optcc.transforms.muon import muon as muon
from optcc.transforms.muon import scale_by_muon as scale_by_muon
from optcc.transforms.noise import DifferentiallyPrivateAggregateState as DifferentiallyPrivateAggregateState
from optcc.transforms.noise import differentially_private_aggregate as differentially_private_aggregate
from optcc.transforms.noise import dpsgd as dpsgd
from optcc.transforms.normalizing import NormalizeState as NormalizeState
from optcc.transforms.normalizing import normalize as normalize
from optcc.transforms.schedule_free import ScheduleFreeState as ScheduleFreeState
from optcc.transforms.schedule_free import schedule_free as schedule_free
from optcc.transforms.schedule_free import schedule_free_adamw as schedule_free_adamw
from optcc.transforms.schedule_free import schedule_free_eval_params as schedule_free_eval_params
from optcc.transforms.schedule_free import schedule_free_sgd as schedule_free_sgd
from optcc.transforms.sharpness import SAMState as SAMState
from optcc.transforms.sharpness import sam as sam
from optcc.transforms.sophia import HutchinsonState as HutchinsonState
from optcc.transforms.sophia import SophiaState as SophiaState
from optcc.transforms.sophia import hutchinson_estimator_diag_hessian as hutchinson_estimator_diag_hessian
from optcc.transforms.sophia import sophia as sophia

resolve_schedules(globals())

if not TYPE_CHECKING:  # checkers should still know which names there are
    __getattr__ = missing_name(__name__)
