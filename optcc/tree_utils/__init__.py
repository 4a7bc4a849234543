"""Functions on pytrees: arithmetic, norms, moving averages, random numbers, parts of optimizer states."""

from typing import TYPE_CHECKING

from optcc.missing_names import missing_name
from optcc.tree_utils.deprecated import tree_add_scalar_mul as tree_add_scalar_mul
from optcc.tree_utils.deprecated import tree_l1_norm as tree_l1_norm
from optcc.tree_utils.deprecated import tree_l2_norm as tree_l2_norm
from optcc.tree_utils.deprecated import tree_linf_norm as tree_linf_norm
from optcc.tree_utils.deprecated import tree_scalar_mul as tree_scalar_mul
from optcc.tree_utils.elementwise import tree_add as tree_add
from optcc.tree_utils.elementwise import tree_add_scale as tree_add_scale
from optcc.tree_utils.elementwise import tree_clip as tree_clip
from optcc.tree_utils.elementwise import tree_conj as tree_conj
from optcc.tree_utils.elementwise import tree_div as tree_div
from optcc.tree_utils.elementwise import tree_mul as tree_mul
from optcc.tree_utils.elementwise import tree_real as tree_real
from optcc.tree_utils.elementwise import tree_scale as tree_scale
from optcc.tree_utils.elementwise import tree_sub as tree_sub
from optcc.tree_utils.elementwise import tree_where as tree_where
from optcc.tree_utils.filling import tree_batch_shape as tree_batch_shape
from optcc.tree_utils.filling import tree_cast as tree_cast
from optcc.tree_utils.filling import tree_cast_like as tree_cast_like
from optcc.tree_utils.filling import tree_dtype as tree_dtype
from optcc.tree_utils.filling import tree_full_like as tree_full_like
from optcc.tree_utils.filling import tree_ones_like as tree_ones_like
from optcc.tree_utils.filling import tree_zeros_like as tree_zeros_like
from optcc.tree_utils.lookup import NamedTupleKey as NamedTupleKey
from optcc.tree_utils.lookup import tree_get as tree_get
from optcc.tree_utils.lookup import tree_get_all_with_path as tree_get_all_with_path
from optcc.tree_utils.lookup import tree_set as tree_set
from optcc.tree_utils.moments import bias_correction as tree_bias_correction
from optcc.tree_utils.moments import update_infinity_moment as tree_update_infinity_moment
from optcc.tree_utils.moments import update_moment as tree_update_moment
from optcc.tree_utils.moments import update_moment_per_elem_norm as tree_update_moment_per_elem_norm
from optcc.tree_utils.random import tree_random_like as tree_random_like
from optcc.tree_utils.random import tree_split_key_like as tree_split_key_like
from optcc.tree_utils.random import tree_unwrap_random_key_data as tree_unwrap_random_key_data
from optcc.tree_utils.reductions import tree_allclose as tree_allclose
from optcc.tree_utils.reductions import tree_max as tree_max
from optcc.tree_utils.reductions import tree_min as tree_min
from optcc.tree_utils.reductions import tree_norm as tree_norm
from optcc.tree_utils.reductions import tree_size as tree_size
from optcc.tree_utils.reductions import tree_sum as tree_sum
from optcc.tree_utils.reductions import tree_vdot as tree_vdot
from optcc.tree_utils.states import tree_map_params as tree_map_params

if not TYPE_CHECKING:  # checkers should still know which names there are
    __getattr__ = missing_name(__name__)

__all__ = [
    "NamedTupleKey",
    "tree_add",
    "tree_add_scalar_mul",
    "tree_add_scale",
    "tree_allclose",
    "tree_batch_shape",
    "tree_bias_correction",
    "tree_cast",
    "tree_cast_like",
    "tree_clip",
    "tree_conj",
    "tree_div",
    "tree_dtype",
    "tree_full_like",
    "tree_get",
    "tree_get_all_with_path",
    "tree_l1_norm",
    "tree_l2_norm",
    "tree_linf_norm",
    "tree_map_params",
    "tree_max",
    "tree_min",
    "tree_mul",
    "tree_norm",
    "tree_ones_like",
    "tree_random_like",
    "tree_real",
    "tree_scalar_mul",
    "tree_scale",
    "tree_set",
    "tree_size",
    "tree_split_key_like",
    "tree_sub",
    "tree_sum",
    "tree_unwrap_random_key_data",
    "tree_update_infinity_moment",
    "tree_update_moment",
    "tree_update_moment_per_elem_norm",
    "tree_vdot",
    "tree_where",
    "tree_zeros_like",
]
