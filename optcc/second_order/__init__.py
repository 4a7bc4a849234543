"""Products with the Hessian, and diagonals of the Hessian and of the Fisher information."""

from optcc.second_order.fisher import fisher_diag as fisher_diag
from optcc.second_order.hessian import hessian_diag as hessian_diag
from optcc.second_order.hessian import hvp as hvp
