"""Smoothing a function by noise, so that it has a derivative."""

from typing import TYPE_CHECKING

from optcc.missing_names import missing_name
from optcc.perturbations.noise import Gumbel as Gumbel
from optcc.perturbations.noise import Normal as Normal
from optcc.perturbations.smoothing import make_perturbed_fun as make_perturbed_fun

if not TYPE_CHECKING:  # checkers should still know which names there are
    __getattr__ = missing_name(__name__)
