"""What a flat jaxpr computes, element by element and leaf by leaf, as expressions: one side of the check of an import.

This file shares nothing with the re-rolling: it reads each equation by itself, and knows of no lanes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from optcc.dtypes import compute_dtype
from optcc.importers import axes as axes_of
from optcc.importers.axes import FLAT, Axes, Shape
from optcc.importers.canonical import Expressions
from optcc.importers.flat_jaxprs import Array, Atom, Equation, FlatJaxpr, Literal

Place = tuple[str, int | None]
Element = tuple[int, Axes]
"""An expression, and the axes of its leaf that the dimensions of the array are."""

_SAME_NAME = {
    *("add", "sub", "mul", "div", "max", "min", "rem", "neg", "sqrt", "rsqrt", "exp", "log", "log1p", "expm1", "sin"),
    *("cos", "tanh", "floor", "ceil", "abs", "lt", "le", "gt", "ge", "eq", "ne", "and", "or", "xor"),
}
_REDUCE = {"reduce_sum": "add", "reduce_max": "max", "reduce_min": "min", "reduce_and": "and", "reduce_or": "or"}
_OF_NOTHING = {"add": 0, "max": -np.inf, "min": np.inf, "and": True, "or": False}
_PRECISION = {(8, 7): jnp.bfloat16, (5, 10): np.float16, (8, 23): np.float32, (11, 52): np.float64}


class NotComparedError(Exception):
    """An equation that the check does not know."""


class JaxprElements:
    """Reads the equations of a flat jaxpr."""

    def __init__(self, expressions: Expressions, leaf_shapes: dict[int, Shape]) -> None:
        self.e = expressions
        self.leaf_shapes = leaf_shapes
        self._env: dict[int, Element | list[int]] = {}

    def outputs(
        self,
        flat: FlatJaxpr,
        inputs: Sequence[Place | None],
        given: Mapping[int, tuple[Array, Place]],
        asked: Sequence[Atom],
    ) -> list[Element | None]:
        """The expression of each array asked for, None for one that an equation is not known of.

        `given` are the arrays that calls give, by number: they count as inputs.
        """
        for array, known in [*zip(flat.inputs, inputs, strict=True), *given.values()]:
            if known is not None:
                name, leaf = known
                rank = len(array.shape)
                axes = (None,) * rank if leaf is None else tuple(range(rank))
                long = [axis for axis, size in enumerate(array.shape) if size != 1]
                self._env[array.number] = self.e.element(name, leaf, long), axes
        for equation in flat.equations:
            if not equation.inputs or len(equation.outputs) != 1 or equation.outputs[0].number in given:
                continue
            try:
                result = self._equation(equation, [self._read(x) for x in equation.inputs])
            except (NotComparedError, axes_of.NotImportedError):
                continue
            self._env[equation.outputs[0].number] = result
        return [self._output(atom) for atom in asked]

    def _output(self, atom: Atom) -> Element | None:
        try:
            found = self._read(atom)
        except NotComparedError:
            return None
        return None if isinstance(found, list) else found

    def _read(self, atom: Atom) -> Element | list[int]:
        if isinstance(atom, Literal):
            return self.e.constant(atom.value, atom.dtype), (None,) * len(atom.shape)
        if atom.number not in self._env:
            raise NotComparedError
        return self._env[atom.number]

    def _equation(self, equation: Equation, given: Sequence[Any]) -> Element | list[int]:
        name, params, out = equation.primitive, equation.params, equation.outputs[0]
        shape = equation.inputs[0].shape
        if any(isinstance(x, list) for x in given) or name in ("concatenate", "stack"):
            return self._of_stacks(equation, given)
        x, axes = given[0]
        match name:
            case "broadcast_in_dim":
                return x, axes_of.broadcast(axes, shape, out.shape, params["broadcast_dimensions"])
            case "reshape" | "squeeze" | "expand_dims":
                return x, self._reshape(axes, shape, out.shape, self._shape_of(x))
            case "dot_general":
                y, other = given[1]
                dimensions = range(len(shape))
                if params["dimension_numbers"] != ((tuple(dimensions), tuple(dimensions)), ((), ())):
                    raise NotComparedError
                folded = axes_of.fold(axes_of.merge((axes, other), len(shape)), shape, dimensions)[1]
                return self._reduce("add", self.e("mul", x, y), folded), ()
            case "transpose":
                return x, tuple(axes[i] for i in params["permutation"])
            case "copy" | "copy_p":
                return x, axes
            case _ if name in _REDUCE and 0 in shape and self.e.leaf[x] is None and out.shape == ():
                return self.e.constant(_OF_NOTHING[_REDUCE[name]], out.dtype), ()
            case _ if name in _REDUCE:
                kept, folded = axes_of.fold(axes, shape, params["axes"])
                return self._reduce(_REDUCE[name], x, folded), kept
            case _:
                op = self.elementwise(equation, [one for one, _ in given], single=out.shape == ())
                return op, axes_of.merge([one for _, one in given], len(out.shape))

    def _shape_of(self, x: int) -> Shape | None:
        leaf = self.e.leaf[x]
        return None if leaf is None else self.leaf_shapes.get(leaf)

    @staticmethod
    def _reshape(axes: Axes, old: Shape, new: Shape, leaf: Shape | None) -> Axes:
        if axes == (FLAT,) and leaf is not None and new == leaf:
            return tuple(range(len(leaf)))
        return axes_of.reshape(axes, old, new)

    def _reduce(self, kind: str, x: int, folded: frozenset[int]) -> int:
        leaf = self._shape_of(x)
        if leaf is None:
            if folded:
                raise NotComparedError
            return x
        axes = range(len(leaf)) if FLAT in folded else sorted(folded)
        return self.e.reduce(kind, x, tuple(a for a in axes if leaf[a] != 1))

    # One element

    def elementwise(self, equation: Equation, args: Sequence[int], *, single: bool) -> int:
        """The expression of an elementwise equation; `single` if its result has no dimensions."""
        e, name, old = self.e, equation.primitive, equation.inputs[0].dtype
        apply = e.of_numbers if single else e
        x = args[0]
        match name:
            case "add_any":
                return apply("add", *args)
            case "abs" | "neg" if not jnp.issubdtype(old, jnp.floating):
                negative = e("sub", e.constant(0, old), x)
                return negative if name == "neg" else e("max", x, negative)
            case _ if name in _SAME_NAME:
                return apply(name, *args)
            case "convert_element_type":
                return e.convert(x, old, equation.outputs[0].dtype)
            case "reduce_precision":
                bits = equation.params["exponent_bits"], equation.params["mantissa_bits"]
                return e.convert(x, old, _PRECISION[bits])
            case "square":
                return e("mul", x, x)
            case "integer_pow":
                return self._power(x, equation.params["y"], old)
            case "pow":
                return e("pow", x, e.convert(args[1], equation.inputs[1].dtype, old))
            case "select_n" if len(args) == 3:
                return e("select", x, args[2], args[1])
            case "clamp":
                return e("min", e("max", args[1], x), args[2])
            case "sign" if not jnp.issubdtype(old, jnp.floating):
                return e("min", e("max", x, e.constant(-1, old)), e.constant(1, old))
            case "not" if old == np.bool_:
                return e("xor", x, e.constant(True, old))
            case _:
                return self._on_float(name, x, old)

    def _on_float(self, name: str, x: int, dtype: np.dtype) -> int:
        e = self.e
        one = e.constant(1, dtype)
        match name:
            case "sign":
                return self._sign(x, dtype)
            case "cbrt":
                third = e.constant(np.asarray(1 / 3, compute_dtype(dtype)), compute_dtype(dtype))
                return e("mul", self._sign(x, dtype), e("pow", e("abs", x), third))
            case "is_finite":
                return e("lt", e("abs", x), e.constant(np.inf, dtype))
            case "logistic":
                return e("div", one, e("add", one, e("exp", e("neg", x))))
            case _:
                raise NotComparedError

    def _sign(self, x: int, dtype: np.dtype) -> int:
        e, zero = self.e, self.e.constant(0, dtype)
        one_or_less = e("select", e("lt", x, zero), e.constant(-1, dtype), e.constant(1, dtype))
        return e("select", e("ueq", x, zero), x, one_or_less)

    def _power(self, x: int, exponent: int, dtype: np.dtype) -> int:
        """By squaring, the low bits of the exponent first."""
        if exponent < 0:
            return self.e("div", self.e.constant(1, dtype), self._power(x, -exponent, dtype))
        result, square = None, x
        for bit in reversed(f"{exponent:b}"):
            if bit == "1":
                result = square if result is None else self.e("mul", result, square)
            square = self.e("mul", square, square)
        if result is None:
            raise NotComparedError
        return result

    # One number for each leaf, in one array

    def _of_stacks(self, equation: Equation, given: Sequence[Any]) -> Element | list[int]:
        name = equation.primitive
        if name in ("concatenate", "stack"):
            one = (1,) if name == "concatenate" else ()
            if any(isinstance(x, tuple) and atom.shape != one for x, atom in zip(given, equation.inputs, strict=True)):
                raise NotComparedError
            return [item for x in given for item in (x if isinstance(x, list) else [x[0]])]
        if name in _REDUCE and equation.outputs[0].shape == ():
            result, *rest = given[0]
            for item in rest:
                result = self.e.of_numbers(_REDUCE[name], result, item)
            return result, ()
        if name in ("broadcast_in_dim", "reshape", "squeeze", "expand_dims", "transpose", *_REDUCE):
            raise NotComparedError
        count = next(len(x) for x in given if isinstance(x, list))
        columns = [x if isinstance(x, list) else [x[0]] * count for x in given]
        return [self.elementwise(equation, args, single=False) for args in zip(*columns, strict=True)]
