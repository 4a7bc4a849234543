"""Blocks of leaves: where sweeps depend on each other leaf by leaf only, all of them run on one block after the other.

A later sweep then finds in the cache what an earlier one has read. Sweeps in turns over parameters that do not fit into
the cache read everything from memory again.
"""

from __future__ import annotations

import math

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation

from optcc.dialect import LeavesOp, TreeType, leaf_set, leaf_tables
from optcc.dialect.interfaces import Leafwise, PassOverMemory
from optcc.dtypes import dtype_of

BLOCK_BYTES = 16 << 20
"""Bytes of gradients, parameters and state in a block: half of a cache of 32 MB."""
SMALL_BYTES = 1 << 18
"""Smaller leaves are a block of their own, all together: calls cost more than what they would save."""
LEAST_BYTES = 4 * BLOCK_BYTES
"""Trees of fewer bytes stay as they are."""

LeafTile = frozenset[str]
"""The paths of its leaves."""


def blocks_of(function: FuncOp, sizes: dict[str, int]) -> list[LeafTile]:
    """The blocks to run a function in, in order; none if it has to run, or may as well, on all leaves at once.

    `sizes` are the bytes of its leaves, `bytes_of` it.
    """
    ops = list(function.body.block.ops)
    passes = sum(op.has_trait(PassOverMemory) for op in ops)
    if passes < 2 or sum(sizes.values()) < LEAST_BYTES or not all(map(_is_leafwise, ops)):
        return []
    blocks = [[path for path, size in sizes.items() if size < SMALL_BYTES]]
    room = 0
    for path, size in sizes.items():
        if size < SMALL_BYTES:
            continue
        if size > room:
            blocks.append([])
            room = BLOCK_BYTES
        blocks[-1].append(path)
        room -= size
    return [frozenset(block) for block in blocks if block]


def fits(block: LeafTile, sizes: dict[str, int]) -> bool:
    """Whether a later sweep finds a block in the cache: one large leaf, and all of the small ones, may not fit."""
    return sum(sizes[path] for path in block) <= BLOCK_BYTES


def bytes_of(function: FuncOp) -> dict[str, int]:
    """The bytes of all arguments of a function, by the path of the leaf."""
    sizes: dict[str, int] = {}
    for type_ in function.function_type.inputs:
        if isinstance(type_, TreeType):
            for leaf in leaf_set(function, type_.leaves):
                size = math.prod(leaf.shape_of(type_.extent.data)) * dtype_of(type_.element).itemsize
                sizes[leaf.path] = sizes.get(leaf.path, 0) + size
    return sizes


def restricted(function: FuncOp, block: LeafTile) -> FuncOp:
    """The function over the leaves of a block only, in a module of its own."""
    module = function.parent_op()
    assert isinstance(module, ModuleOp)
    copy = function.clone()
    tables = leaf_tables(module)
    small = [LeavesOp(op.sym_name.data, tuple(x for x in op.leaves if x.path in block)) for op in tables]
    ModuleOp([*small, copy])
    return copy


def is_scalar(op: Operation) -> bool:
    """Whether an op has nothing to do with leaves, so that all blocks share its results."""
    types = (*op.operand_types, *op.result_types)
    return not op.has_trait(Leafwise) and not any(isinstance(t, TreeType) for t in types)


def _is_leafwise(op: Operation) -> bool:
    """Whether what an op gives for a leaf depends on this leaf and on scalars only."""
    leafwise = op.get_trait(Leafwise)
    return leafwise.holds(op) if leafwise else isinstance(op, ReturnOp) or is_scalar(op)
