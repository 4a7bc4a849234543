"""Passes over the `optim` dialect, one a file, and the pipelines made of them. No JAX here."""

from optcc.passes.pipelines import PASSES as PASSES
from optcc.passes.pipelines import PIPELINES as PIPELINES
from optcc.passes.pipelines import Stage as Stage
from optcc.passes.pipelines import parse_pipeline as parse_pipeline
from optcc.passes.pipelines import run_passes as run_passes
