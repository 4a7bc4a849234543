"""The reference interpreter in jax.numpy, and the init/update pairs that it runs."""

from optcc.interpret import matrix_ops as matrix_ops  # registers rules
from optcc.interpret import scalar_ops as scalar_ops  # registers rules
from optcc.interpret import tree_ops as tree_ops  # registers rules
from optcc.interpret.interpreter import INTERPRETER as INTERPRETER
from optcc.interpret.interpreter import Run as Run
from optcc.interpret.interpreter import evaluate as evaluate
