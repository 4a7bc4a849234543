"""Passes over the `optim` dialect, one a file, and the pipelines made of them. No JAX here.

A pass of one's own is a frozen dataclass below xDSL's `ModulePass` with a `name`. `register_pass`, or an entry point of
the group `optcc.passes`, makes it known to pipelines.
"""

from optcc.passes.pipelines import PASSES as PASSES
from optcc.passes.pipelines import PIPELINES as PIPELINES
from optcc.passes.pipelines import Run as Run
from optcc.passes.pipelines import Stage as Stage
from optcc.passes.pipelines import run_passes as run_passes
from optcc.passes.pipelines import runs_of as runs_of
from optcc.passes.registry import known_passes as known_passes
from optcc.passes.registry import parse_pipeline as parse_pipeline
from optcc.passes.registry import passes_of as passes_of
from optcc.passes.registry import passes_of_step as passes_of_step
from optcc.passes.registry import register_pass as register_pass
from optcc.passes.registry import usage as usage
