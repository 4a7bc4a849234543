"""Functions on whole pytrees, under Optax's names; `optcc.tree` has them without the prefix."""

from optcc.tree_utils.moments import bias_correction as tree_bias_correction
from optcc.tree_utils.moments import update_infinity_moment as tree_update_infinity_moment
from optcc.tree_utils.moments import update_moment as tree_update_moment
from optcc.tree_utils.moments import update_moment_per_elem_norm as tree_update_moment_per_elem_norm
from optcc.tree_utils.states import tree_map_params as tree_map_params

__all__ = [
    "tree_bias_correction",
    "tree_map_params",
    "tree_update_infinity_moment",
    "tree_update_moment",
    "tree_update_moment_per_elem_norm",
]
