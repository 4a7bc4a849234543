"""Matching rows and columns of a matrix of costs at the least total."""

from typing import TYPE_CHECKING

from optcc.assignment.hungarian import base_hungarian_algorithm as base_hungarian_algorithm
from optcc.assignment.hungarian import hungarian_algorithm as hungarian_algorithm
from optcc.missing_names import missing_name

if not TYPE_CHECKING:  # checkers should still know which names there are
    __getattr__ = missing_name(__name__)
