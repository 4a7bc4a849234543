"""Evaluating functions of a batch part by part, to save memory."""

from typing import TYPE_CHECKING

from optcc.microbatching.accumulators import AccumulationType as AccumulationType
from optcc.microbatching.accumulators import Accumulator as Accumulator
from optcc.microbatching.loop import microbatch as microbatch
from optcc.microbatching.loop import reshape_batch_axis as reshape_batch_axis
from optcc.microbatching.per_example import micro_grad as micro_grad
from optcc.microbatching.per_example import micro_vmap as micro_vmap
from optcc.missing_names import missing_name

if not TYPE_CHECKING:  # checkers should still know which names there are
    __getattr__ = missing_name(__name__)
