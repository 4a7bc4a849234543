"""Portable StableHLO, and the rules that all backends share."""

from optcc.lowering.packed_values import as_leaves as as_leaves
from optcc.lowering.stablehlo import matrix_ops as matrix_ops  # registers rules
from optcc.lowering.stablehlo import scalar_ops as scalar_ops  # registers rules
from optcc.lowering.stablehlo import tree_ops as tree_ops  # registers rules
from optcc.lowering.stablehlo.registry import STABLEHLO as STABLEHLO
from optcc.lowering.stablehlo.registry import Lowering as Lowering
from optcc.lowering.stablehlo.registry import by_interpreter as by_interpreter
