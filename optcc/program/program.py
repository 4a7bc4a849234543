"""A built function of the IR, and how pytrees of arrays enter and leave it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from xdsl.dialects.builtin import DictionaryAttr, ModuleOp

from optcc.dialect import SLOT, Leaf, Role, Slot, SlotAttr
from optcc.program.storage import Packing

Shape = jax.ShapeDtypeStruct


@dataclass(frozen=True)
class Port:
    """What one argument or result of the function stands for in the flat list of arrays of the caller.

    `slot` is its name; `positions` are the places of its leaves, in leaf-set order; `is_tree` is False for a scalar
    and for a key of random numbers, whose implementation is `key`. With a `packing` all leaves of the tree are in one
    array, whose place is the only one in `positions`.
    """

    slot: str
    positions: tuple[int, ...]
    is_tree: bool
    key: str = ""
    packing: Packing | None = None


@dataclass(frozen=True)
class Program:
    """A module with one function, and its calling convention.

    `inputs` are the arrays of (updates, state, params, extra arguments), flattened in that order; `outputs` those of
    (updates, state). `in_shapes` and `out_shapes` are the pytrees of shapes and dtypes.
    """

    module: ModuleOp
    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    in_shapes: Any
    out_shapes: Any
    bindings: Mapping[str, Any] = field(default_factory=dict)
    callables: Mapping[str, Callable[..., Any]] = field(default_factory=dict)

    def with_module(self, module: ModuleOp, **changes: Any) -> Program:
        """The same calling convention for another stage of the module."""
        return replace(self, module=module, **changes)


def pack(ports: Sequence[Port], arrays: Sequence[Any]) -> list[Any]:
    """The arguments of the function, one for each port, from the flat arrays; a packed tree is one array."""
    return [[arrays[i] for i in p.positions] if _has_leaves(p) else arrays[p.positions[0]] for p in ports]


def unpack(ports: Sequence[Port], values: Sequence[Any], count: int) -> list[Any]:
    """The flat arrays from the results of the function; the inverse of `pack`."""
    arrays: list[Any] = [None] * count
    for port, value in zip(ports, values, strict=True):
        for i, array in zip(port.positions, value if _has_leaves(port) else [value], strict=True):
            arrays[i] = array
    return arrays


def _has_leaves(port: Port) -> bool:
    return port.is_tree and port.packing is None


def unpack_arguments(ports: Sequence[Port], values: Sequence[Any]) -> list[Any]:
    """Arguments with every packed tree as its leaves."""
    return [port.packing.unpack(v) if port.packing else v for port, v in zip(ports, values, strict=True)]


def pack_results(ports: Sequence[Port], values: Sequence[Any]) -> list[Any]:
    """Results with the leaves of every packed tree in one array."""
    return [port.packing.pack(v) if port.packing else v for port, v in zip(ports, values, strict=True)]


def outside_trace(*values: Any) -> AbstractContextManager[Any]:
    """Where JAX computes at once even while it traces a user's function, unless one of the values is traced itself."""
    is_traced = any(isinstance(value, Tracer) for value in values)
    return nullcontext() if is_traced else jax.ensure_compile_time_eval()


def is_key(x: Any) -> bool:
    """Whether an array, or a shape and dtype, is one of typed keys of random numbers."""
    # A state may hold a Python number that the user has put there. What numpy has a dtype for is no key, and soon told.
    dtype = getattr(x, "dtype", None)
    return dtype is not None and not isinstance(dtype, np.dtype) and jnp.issubdtype(dtype, jax.dtypes.prng_key)


def keys_to_data(arrays: Sequence[Any]) -> list[Any]:
    """Arrays as the IR's functions take them: of keys, the data."""
    return [jax.random.key_data(x) if is_key(x) else x for x in arrays]


def data_shapes(tree: Any) -> list[Shape]:
    """Shapes and dtypes of the `physical` arrays of a pytree of shapes and dtypes."""
    # Only keys are traced: for thousands of leaves that takes long.
    return [jax.eval_shape(jax.random.key_data, x) if is_key(x) else x for x in jax.tree.leaves(tree)]


def data_to_keys(arrays: Sequence[Any], ports: Sequence[Port]) -> list[Any]:
    """Arrays as the caller has them; the inverse of `physical`."""
    keys = {port.positions[0]: port.key for port in ports if port.key}
    return [jax.random.wrap_key_data(x, impl=keys[i]) if i in keys else x for i, x in enumerate(arrays)]


def slot_attribute(port: Port) -> DictionaryAttr:
    """The attribute of an argument or result that says which slot it is."""
    name = port.slot.split("/")[0]
    role, _, rest = name.partition(".")
    if role not in set(Role):
        role, rest = "state", name
    path = tuple(rest.split(".")) if rest else ()
    return DictionaryAttr({SLOT: SlotAttr(Slot(Role(role), path))})


def path_name(path: Any) -> str:
    """The path of a leaf as it is named in the IR and in errors: `layers.0.w`; empty for a bare array."""
    return jax.tree_util.keystr(path, simple=True, separator=".")


def leaf_table(tree: Any) -> list[Leaf]:
    """Path and shape of every leaf of a pytree of arrays; paths that would coincide get their position appended."""
    leaves, structure = jax.tree.flatten(tree)
    return [Leaf(path, tuple(x.shape)) for path, x in zip(_leaf_paths(structure), leaves, strict=True)]


@lru_cache(maxsize=64)
def _leaf_paths(structure: Any) -> tuple[str, ...]:
    """The unique path of every leaf of a structure. Making them is what costs most for thousands of leaves."""
    tree = jax.tree.unflatten(structure, range(structure.num_leaves))
    unique: dict[str, None] = {}
    for path, i in jax.tree_util.tree_leaves_with_path(tree):
        name = path_name(path)
        unique[name if name not in unique else f"{name}#{i}"] = None
    return tuple(unique)


def shapes_of(tree: Any) -> Any:
    """The pytree of shapes and dtypes of a pytree of arrays or Python numbers."""
    return jax.tree.map(shape_of, tree)


def shape_of(x: Any) -> Shape:
    """Shape and dtype of one array, as JAX sees it.

    Raises TypeError for something that is no array.
    """
    if hasattr(x, "dtype") and is_key(x):
        return Shape(x.shape, x.dtype)
    if isinstance(x, Shape):
        return Shape(x.shape, jax.dtypes.canonicalize_dtype(x.dtype))
    if hasattr(x, "shape") and hasattr(x, "dtype"):
        return Shape(np.shape(x), jax.dtypes.canonicalize_dtype(x.dtype))
    aval = jax.typeof(x)
    return Shape(aval.shape, aval.dtype)
