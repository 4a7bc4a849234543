"""The functions of `optcc.tree_utils` under their short names."""

from optcc.tree_utils.moments import bias_correction as bias_correction
from optcc.tree_utils.moments import update_infinity_moment as update_infinity_moment
from optcc.tree_utils.moments import update_moment as update_moment
from optcc.tree_utils.moments import update_moment_per_elem_norm as update_moment_per_elem_norm
from optcc.tree_utils.states import tree_map_params as map_params

__all__ = ["bias_correction", "map_params", "update_infinity_moment", "update_moment", "update_moment_per_elem_norm"]
