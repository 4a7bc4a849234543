"""A built function of the IR, and how pytrees of arrays enter and leave it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import jax
import numpy as np
from xdsl.dialects.builtin import DictionaryAttr, ModuleOp, StringAttr

from optcc.dialect import SLOT, Leaf

Shape = jax.ShapeDtypeStruct


@dataclass(frozen=True)
class Port:
    """What one argument or result of the function stands for in the flat list of arrays of the caller.

    `slot` is its name; `positions` are the places of its leaves, in leaf-set order; `is_tree` is False for a scalar.
    """

    slot: str
    positions: tuple[int, ...]
    is_tree: bool


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
    """The arguments of the function, one for each port, from the flat arrays."""
    return [[arrays[i] for i in p.positions] if p.is_tree else arrays[p.positions[0]] for p in ports]


def unpack(ports: Sequence[Port], values: Sequence[Any], count: int) -> list[Any]:
    """The flat arrays from the results of the function; the inverse of `pack`."""
    arrays: list[Any] = [None] * count
    for port, value in zip(ports, values, strict=True):
        for i, array in zip(port.positions, value if port.is_tree else [value], strict=True):
            arrays[i] = array
    return arrays


def slot_attribute(slot: str) -> DictionaryAttr:
    """The attribute of an argument or result that names its slot."""
    return DictionaryAttr({SLOT: StringAttr(slot)})


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
    if isinstance(x, Shape):
        return Shape(x.shape, jax.dtypes.canonicalize_dtype(x.dtype))
    if hasattr(x, "shape") and hasattr(x, "dtype"):
        return Shape(np.shape(x), jax.dtypes.canonicalize_dtype(x.dtype))
    aval = jax.typeof(x)
    return Shape(aval.shape, aval.dtype)
