"""Products with the Hessian, and diagonals of the Hessian and of the Fisher information."""

from typing import TYPE_CHECKING

from optcc.missing_names import missing_name
from optcc.second_order.fisher import fisher_diag as fisher_diag
from optcc.second_order.hessian import hessian_diag as hessian_diag
from optcc.second_order.hessian import hvp as hvp

if not TYPE_CHECKING:  # checkers should still know which names there are
    __getattr__ = missing_name(__name__)
