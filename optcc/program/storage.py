"""Where the arrays of a pytree are in one buffer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

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
        """One array after another, each at a multiple of some elements; 0-d arrays side by side, where all are."""
        step = alignment if any(shapes) else 1
        offsets: list[int] = []
        end = 0
        for shape in shapes:
            offsets.append(end)
            end += -(-math.prod(shape) // step) * step
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

    def pack(self, arrays: Sequence[Any]) -> Any:
        """The buffer with these arrays; what is between them is 0."""
        pieces: list[Any] = []
        ends = [*self.offsets[1:], self.size]
        for array, size, start, end in zip(arrays, self.sizes, self.offsets, ends, strict=True):
            flat = jnp.ravel(array)
            pieces.append(jnp.pad(flat, (0, end - start - size)) if end - start > size else flat)
        return jnp.reshape(jnp.concatenate(pieces) if pieces else jnp.zeros(self.size), self.array_shape)

    def unpack(self, buffer: Any) -> list[Any]:
        """The arrays in a buffer."""
        row = TILE if self.is_tiled else 1
        starts = zip(self.shapes, self.sizes, self.offsets, strict=True)
        parts = ((buffer[start // row : -(-(start + size) // row)], size, shape) for shape, size, start in starts)
        return [jnp.reshape(jnp.ravel(part)[:size], shape) for part, size, shape in parts]
