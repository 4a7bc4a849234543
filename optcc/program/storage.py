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

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Packing:
    """Arrays of one dtype in a 1-d buffer: the shape and the first element of each, and the size of the whole."""

    shapes: tuple[Shape, ...]
    offsets: tuple[int, ...]
    size: int

    @staticmethod
    def of(shapes: Sequence[Shape]) -> Packing:
        """One array after another, each at a multiple of `ALIGNMENT` elements; 0-d arrays side by side."""
        step = ALIGNMENT if any(shapes) else 1
        offsets: list[int] = []
        end = 0
        for shape in shapes:
            offsets.append(end)
            end += -(-math.prod(shape) // step) * step
        return Packing(tuple(shapes), tuple(offsets), end)

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
        return jnp.concatenate(pieces) if pieces else jnp.zeros(self.size)

    def unpack(self, buffer: Any) -> list[Any]:
        """The arrays in a buffer."""
        starts = zip(self.shapes, self.sizes, self.offsets, strict=True)
        return [jnp.reshape(buffer[start : start + size], shape) for shape, size, start in starts]
