"""Where the arrays of a pytree are in one buffer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp

ALIGNMENT = 16
"""Elements: a cache line of float32. The same for all dtypes, so that arrays of two have equal offsets."""

TILE = 1024
"""Elements of a tile: in tiled storage leaves start at multiples of it, so that small leaves are mostly gap."""

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Packing:
    """Arrays of one dtype in a buffer: the shape and the first element of each, and the size of the whole.

    A buffer of tiles is 2-d, a row for each tile: a TPU lays 1-d arrays out otherwise and would copy them to fold rows.
    """

    shapes: tuple[Shape, ...]
    offsets: tuple[int, ...]
    size: int
    alignment: int = ALIGNMENT

    @staticmethod
    def of(shapes: Sequence[Shape], alignment: int = ALIGNMENT) -> Packing:
        """One array after another, each at a multiple of some elements; 0-d arrays side by side, where all are.

        In tiles arrays of one shape are neighbours, so that what is done by axis is done to all of them at once.
        """
        step = alignment if any(shapes) else 1
        first = {shape: i for i, shape in reversed(list(enumerate(shapes)))}
        order = sorted(range(len(shapes)), key=lambda i: (first[shapes[i]] if step == TILE else 0, i))
        offsets = [0] * len(shapes)
        end = 0
        for i in order:
            offsets[i] = end
            end += -(-math.prod(shapes[i]) // step) * step
        return Packing(tuple(shapes), tuple(offsets), end, step)

    @property
    def is_tiled(self) -> bool:
        """Whether the buffer is whole tiles, each of one array."""
        return self.alignment == TILE

    @property
    def array_shape(self) -> Shape:
        """The shape of the buffer."""
        return (self.size // TILE, TILE) if self.is_tiled else (self.size,)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The number of elements of each array."""
        return tuple(map(math.prod, self.shapes))

    @cached_property
    def pieces(self) -> list[tuple[int, int, int]]:
        """The arrays in the order of the buffer: which one, its elements, and the gap behind it."""
        order = sorted(range(len(self.shapes)), key=lambda i: (self.offsets[i], self.sizes[i]))
        ends = [*(self.offsets[i] for i in order[1:]), self.size]
        return [(i, self.sizes[i], end - self.offsets[i] - self.sizes[i]) for i, end in zip(order, ends, strict=True)]

    def pack(self, arrays: Sequence[jax.Array]) -> Any:
        """The buffer with these arrays; what is between them is 0."""
        pieces: list[Any] = []
        for i, _, gap in self.pieces:
            flat = jnp.ravel(arrays[i])
            piece = jnp.pad(flat, (0, gap)) if gap else flat
            # Whole tiles at once: a TPU would lay out anew what is put together as one long array.
            pieces.append(jnp.reshape(piece, (-1, TILE)) if self.is_tiled else piece)
        return jnp.concatenate(pieces) if pieces else jnp.zeros(self.array_shape)

    def unpack(self, buffer: jax.Array) -> list[Any]:
        """The arrays in a buffer."""
        row = TILE if self.is_tiled else 1
        starts = zip(self.shapes, self.sizes, self.offsets, strict=True)
        parts = ((buffer[start // row : -(-(start + size) // row)], size, shape) for shape, size, start in starts)
        return [jnp.reshape(jnp.ravel(part)[:size], shape) for part, size, shape in parts]
