"""The functions of `optcc.tree_utils` under their short names."""

from typing import TYPE_CHECKING

from optcc.missing_names import missing_name
from optcc.tree_utils.elementwise import tree_add as add
from optcc.tree_utils.elementwise import tree_add_scale as add_scale
from optcc.tree_utils.elementwise import tree_clip as clip
from optcc.tree_utils.elementwise import tree_conj as conj
from optcc.tree_utils.elementwise import tree_div as div
from optcc.tree_utils.elementwise import tree_mul as mul
from optcc.tree_utils.elementwise import tree_real as real
from optcc.tree_utils.elementwise import tree_scale as scale
from optcc.tree_utils.elementwise import tree_sub as sub
from optcc.tree_utils.elementwise import tree_where as where
from optcc.tree_utils.filling import tree_batch_shape as batch_shape
from optcc.tree_utils.filling import tree_cast as cast
from optcc.tree_utils.filling import tree_cast_like as cast_like
from optcc.tree_utils.filling import tree_dtype as dtype
from optcc.tree_utils.filling import tree_full_like as full_like
from optcc.tree_utils.filling import tree_ones_like as ones_like
from optcc.tree_utils.filling import tree_zeros_like as zeros_like
from optcc.tree_utils.lookup import tree_get as get
from optcc.tree_utils.lookup import tree_get_all_with_path as get_all_with_path
from optcc.tree_utils.lookup import tree_set as set  # noqa: A004
from optcc.tree_utils.moments import bias_correction as bias_correction
from optcc.tree_utils.moments import update_infinity_moment as update_infinity_moment
from optcc.tree_utils.moments import update_moment as update_moment
from optcc.tree_utils.moments import update_moment_per_elem_norm as update_moment_per_elem_norm
from optcc.tree_utils.random import tree_random_like as random_like
from optcc.tree_utils.random import tree_split_key_like as split_key_like
from optcc.tree_utils.random import tree_unwrap_random_key_data as unwrap_random_key_data
from optcc.tree_utils.reductions import tree_allclose as allclose
from optcc.tree_utils.reductions import tree_max as max  # noqa: A004
from optcc.tree_utils.reductions import tree_min as min  # noqa: A004
from optcc.tree_utils.reductions import tree_norm as norm
from optcc.tree_utils.reductions import tree_size as size
from optcc.tree_utils.reductions import tree_sum as sum  # noqa: A004
from optcc.tree_utils.reductions import tree_vdot as vdot
from optcc.tree_utils.states import tree_map_params as map_params

if not TYPE_CHECKING:  # checkers should still know which names there are
    __getattr__ = missing_name(__name__)

__all__ = [
    "add",
    "add_scale",
    "allclose",
    "batch_shape",
    "bias_correction",
    "cast",
    "cast_like",
    "clip",
    "conj",
    "div",
    "dtype",
    "full_like",
    "get",
    "get_all_with_path",
    "map_params",
    "max",
    "min",
    "mul",
    "norm",
    "ones_like",
    "random_like",
    "real",
    "scale",
    "set",
    "size",
    "split_key_like",
    "sub",
    "sum",
    "unwrap_random_key_data",
    "update_infinity_moment",
    "update_moment",
    "update_moment_per_elem_norm",
    "vdot",
    "where",
    "zeros_like",
]
