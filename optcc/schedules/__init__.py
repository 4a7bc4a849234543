"""Schedules: functions from the step count to a hyperparameter's value.

A schedule takes a Python number or an array of any shape and works on it elementwise; under `jax.jit` it is a handful
of scalar operations without branches, so that the compiler can read it. The values are those of Optax 0.2.8.
"""

from typing import TYPE_CHECKING

from optcc.base import Schedule as Schedule
from optcc.missing_names import missing_name
from optcc.schedules.cosine import cosine_decay_schedule as cosine_decay_schedule
from optcc.schedules.exponential import exponential_decay as exponential_decay
from optcc.schedules.join import join_schedules as join_schedules
from optcc.schedules.onecycle import cosine_onecycle_schedule as cosine_onecycle_schedule
from optcc.schedules.onecycle import linear_onecycle_schedule as linear_onecycle_schedule
from optcc.schedules.piecewise import piecewise_constant_schedule as piecewise_constant_schedule
from optcc.schedules.piecewise import piecewise_interpolate_schedule as piecewise_interpolate_schedule
from optcc.schedules.polynomial import constant_schedule as constant_schedule
from optcc.schedules.polynomial import linear_schedule as linear_schedule
from optcc.schedules.polynomial import polynomial_schedule as polynomial_schedule
from optcc.schedules.warmup import sgdr_schedule as sgdr_schedule
from optcc.schedules.warmup import warmup_constant_schedule as warmup_constant_schedule
from optcc.schedules.warmup import warmup_cosine_decay_schedule as warmup_cosine_decay_schedule
from optcc.schedules.warmup import warmup_exponential_decay_schedule as warmup_exponential_decay_schedule
from optcc.stateful_schedules import StatefulSchedule as StatefulSchedule
from optcc.stateful_schedules import WrappedSchedule as WrappedSchedule
from optcc.stateful_schedules import WrappedScheduleState as WrappedScheduleState
from optcc.transforms.injection import InjectHyperparamsState as InjectHyperparamsState
from optcc.transforms.injection import InjectStatefulHyperparamsState as InjectStatefulHyperparamsState
from optcc.transforms.injection import inject_hyperparams as inject_hyperparams
from optcc.transforms.injection import inject_stateful_hyperparams as inject_stateful_hyperparams

if not TYPE_CHECKING:  # checkers should still know which names there are
    __getattr__ = missing_name(__name__)
