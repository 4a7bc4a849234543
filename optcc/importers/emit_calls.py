"""Emits the calls of what the IR has no counterpart for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from optcc.formula.values import GroupedLeaves, Scalar, Tree
from optcc.importers.flat_jaxprs import FlatJaxpr
from optcc.importers.opaque_parts import Part

if TYPE_CHECKING:
    from optcc.formula.builder import Builder

Values = Mapping[str, Tree | Scalar]


class Calls:
    """The calls of one function, called `name`, for the reasons `why`."""

    def __init__(
        self, b: Builder, leaf_set: GroupedLeaves, flat: FlatJaxpr, name: str, why: str, left: Any | None
    ) -> None:
        """`left` is the leaf set, with dtypes, of the results that belong to no leaf, if there are any."""
        self.b = b
        self.leaf_set = leaf_set
        self.flat = flat
        self.name = name
        self.why = why
        self._left = left
        self.left: Tree | None = None
        """The results that belong to no leaf, once their call is emitted."""

    def emit(self, part: Part, taken: Values, inputs: Values) -> dict[str, Tree | Scalar]:
        """Emit a call on the values taken; what it gives, by name. `inputs` are the operands of the whole function."""
        whole = self._arrays(part, inputs)
        operands = [*(taken[name] for name in (*part.taken, *part.numbers_taken)), *(inputs[name] for name in whole)]
        asked: list[Any] = [self._asked(tree) for tree in part.given.values()]
        asked += [array.dtype for array, _ in part.numbers_given.values()]
        if part.left:
            assert self._left is not None
            asked.append(self._left[:2])
        results = self.b.call(self.name, self._function(part, list(whole.values())), operands, asked, why=self.why)
        if part.left:
            self.left = results.pop()
        return dict(zip((*part.given, *part.numbers_given), results, strict=True))

    def _asked(self, tree: Mapping[int, Any]) -> tuple[GroupedLeaves, dict[int, np.dtype]]:
        leaf_set = self.b.leaf_sets.subset(self.leaf_set, tree)
        array, _ = next(iter(tree.values()))
        return leaf_set, dict.fromkeys(leaf_set.groups, np.dtype(array.dtype))

    def _arrays(self, part: Part, inputs: Values) -> dict[str, Sequence[int]]:
        """The operands that have arrays of no leaf which a call takes, and the numbers of their arrays."""
        found: dict[str, Sequence[int]] = {}
        numbers = [array.number for array in self.flat.inputs]
        asked = {array.number for array in part.arrays}
        for name, value in inputs.items():
            count = len(value.leaf_set.leaves) if isinstance(value, Tree) else 1
            own, numbers = numbers[:count], numbers[count:]
            if asked.intersection(own):
                found[name] = own
        return found

    def _function(self, part: Part, whole: Sequence[Sequence[int]]) -> Callable[..., list[Any]]:
        """What is called: an argument for each operand and a result for each asked, lists of arrays for trees."""
        trees = [[tree[leaf][0].number for leaf in sorted(tree)] for tree in part.taken.values()]
        numbers = [array.number for array, _ in part.numbers_taken.values()]
        given = [[tree[leaf][0] for leaf in sorted(tree)] for tree in part.given.values()]
        constants = self.flat.constants

        def call(*values: Any) -> list[Any]:
            arrays = dict(constants)
            for own, value in zip([*trees, *([n] for n in numbers), *whole], values, strict=True):
                arrays.update(zip(own, value if isinstance(value, list) else [value], strict=True))
            read = part.evaluate(arrays)
            results: list[Any] = [[jax.numpy.asarray(read(x)) for x in tree] for tree in given]
            results += [jax.numpy.asarray(read(array)) for array, _ in part.numbers_given.values()]
            return results + ([[jax.numpy.asarray(read(x)) for x in part.left]] if part.left else [])

        return call
