"""Re-rolls per-leaf equations: what is computed for each leaf becomes one term for all leaves that share it.

Which leaf an input belongs to is known, so no matching is needed. A value that depends on one leaf is in the lane of
that leaf; one that depends on none is of the step. Terms are interned without the leaf and its shape: two leaves are
computed alike if and only if their outputs are the same term.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import jax.numpy as jnp
import numpy as np

from optcc.importers import axes as axes_of
from optcc.importers.axes import Shape
from optcc.importers.flat_jaxprs import Array, Atom, Equation, FlatJaxpr, Literal
from optcc.importers.folds_over_leaves import checked, link
from optcc.importers.opaque_parts import Cuts
from optcc.importers.primitives import (
    ELEMENTWISE,
    NOTHING,
    REDUCTIONS,
    RESHAPES,
    SAME,
    NotImportedError,
    parameter_of,
)
from optcc.importers.terms import ALL, Any_, Chain, Kept, LeafShapes, Stack, Term, Terms, Unknown, Value

MOST_PICKED = 64
"""How many numbers of single leaves may be used outside their lane: each is a leaf set of its own."""


class Roller:
    """Turns a flat jaxpr into terms."""

    def __init__(self, leaf_shapes: LeafShapes) -> None:
        self.leaf_shapes = leaf_shapes
        self.terms = Terms()
        self.env: dict[int, Any_] = {}
        self._picked: set[tuple[Term, int]] = set()
        self.first_use: dict[int, Equation] = {}
        self.cuts = Cuts(leaf_shapes, self.terms)

    def roll(
        self, flat: FlatJaxpr, inputs: Sequence[tuple[str, int | None] | None], per_leaf: Collection[str] = ()
    ) -> list[Any_]:
        """The outputs; `inputs` has the name of each input and its leaf, or None for one that is not known.

        `per_leaf` has the names of inputs of one number for each leaf.
        """
        for array, known in zip(flat.inputs, inputs, strict=True):
            if known is not None:
                name, leaf = known
                kept: Kept = None if leaf is None else () if name in per_leaf else ALL
                axes = tuple(range(len(array.shape))) if leaf is not None else (None,) * len(array.shape)
                self.env[array.number] = Value(self.terms("input", name, (), array.dtype, kept), leaf, axes)
        for equation in flat.equations:
            self._equation(equation)
        return [self.read(atom) for atom in flat.outputs]

    def number(self, value: Any_) -> Term:
        """A value as a number of the step. Raises NotImportedError."""
        return self._of_step(self._finished(value)).term

    def of_leaf(self, value: Any_, leaf: int, shape: Shape, *, per_leaf: bool) -> Term:
        """A value in the place of a leaf, or of one number of it: its own, or of the step. Raises NotImportedError."""
        value = self._finished(value)
        if value.leaf not in (None, leaf):
            value = self._of_step(value)
        if per_leaf:
            if shape != ():
                raise NotImportedError(f"a result of the shape {list(shape)} is no number of its leaf")
            return value.term
        if not axes_of.is_whole(value.axes, shape, self.leaf_shapes[leaf]):
            raise NotImportedError(f"a result of the shape {list(shape)} is not in the place of its leaf")
        return value.term

    def read(self, atom: Atom) -> Any_:
        if isinstance(atom, Literal):
            # The sign of a zero and a NaN are told apart by their text.
            term = self.terms("literal", repr(atom.value), (), atom.dtype, None)
            return Value(term, None, (None,) * len(atom.shape))
        found = self.env.get(atom.number)
        if found is None and jnp.issubdtype(atom.dtype, jnp.complexfloating):
            return Unknown("its numbers are complex")
        return found or Unknown(f"an array that is no leaf's, {atom.dtype}{list(atom.shape)}")

    def _equation(self, equation: Equation) -> None:
        values = [self.read(atom) for atom in equation.inputs]
        for atom, value in zip(equation.inputs, values, strict=True):
            if isinstance(atom, Literal) and isinstance(value, Value):
                self.first_use.setdefault(value.term.number, equation)
        if any(isinstance(value, Unknown) for value in values):
            values = self._cut_for(equation, values)
        if any(isinstance(value, Unknown) for value in values):
            results = self.cuts.inside(equation, values, None)
        else:
            try:
                results = [self._value(equation, values)]
            except NotImportedError as error:
                results = self.cuts.inside(equation, values, str(error))
        for out, result in zip(equation.outputs, results, strict=True):
            self.env[out.number] = result

    def _cut_for(self, equation: Equation, values: Sequence[Any_]) -> Sequence[Any_]:
        """The inputs of an equation on the elements of a leaf: what calls give for it is in the lane of that leaf."""
        if equation.primitive not in ELEMENTWISE:
            return values
        shape = equation.outputs[0].shape
        owners = {self._owner(v, x.shape) for v, x in zip(values, equation.inputs, strict=True) if x.shape == shape}
        owners -= {None}
        if len(owners) != 1:
            return values
        return [
            self.cut(atom, leaf) if isinstance(value, Unknown) and atom.shape == shape else value
            for leaf in owners
            for value, atom in zip(values, equation.inputs, strict=True)
        ]

    def _owner(self, value: Any_, shape: Shape) -> int | None:
        """The leaf whose elements a value has in their places, if it has."""
        if not isinstance(value, Value) or value.leaf is None:
            return None
        return value.leaf if axes_of.is_whole(value.axes, shape, self.leaf_shapes[value.leaf]) else None

    def cut(self, atom: Atom, leaf: int | None) -> Any_:
        """An array that a call gives, as a value of a leaf or of the step if it can be one."""
        cut = self.cuts.cut(atom, leaf) if isinstance(atom, Array) else None
        if cut is not None and isinstance(atom, Array):
            self.env[atom.number] = cut
        return cut or self.read(atom)

    def _value(self, equation: Equation, values: Sequence[Any_]) -> Any_:
        name = equation.primitive
        if not values or len(equation.outputs) != 1:
            raise NotImportedError("the IR has no counterpart")
        out = equation.outputs[0]
        if name in SAME:
            return values[0]
        if any(jnp.issubdtype(atom.dtype, jnp.complexfloating) for atom in (*equation.inputs, out)):
            raise NotImportedError("its numbers are complex")
        if name in ELEMENTWISE:
            return self._elementwise(equation, values, out)
        if name in ("concatenate", "stack"):
            return self._stacked(equation, values)
        if name == "dot_general":
            return self._dot(equation, values, out)
        value = values[0]
        if name in REDUCTIONS and isinstance(value, Stack):
            return self._folded(REDUCTIONS[name], value, out)
        if isinstance(value, Stack):
            raise NotImportedError("the IR has no counterpart for an array of one number for each leaf")
        value = self._finished(value)
        if name in RESHAPES:
            return self._reshaped(equation, value, out)
        if name in REDUCTIONS:
            return self._reduced(equation, value, out)
        if name == "transpose":
            return Value(value.term, value.leaf, tuple(value.axes[i] for i in equation.params["permutation"]))
        raise NotImportedError("the IR has no counterpart")

    # Elements

    def _elementwise(self, equation: Equation, values: Sequence[Any_], out: Array) -> Any_:
        stacks = [v for v in values if isinstance(v, Stack)]
        if stacks:
            return self._on_stacks(equation, values, out, len(stacks[0].items))
        chain = link(equation.primitive, values, out)
        return chain or self._mapped(equation, [self._finished(v) for v in values], out)

    def _mapped(self, equation: Equation, values: Sequence[Value], out: Array) -> Value:
        leaves = {v.leaf for v in values} - {None}
        if len(leaves) > 1:
            # Numbers of other leaves are used with the elements of one, or numbers of several leaves with each other.
            arrays = {v.leaf for v in values if v.leaf is not None and not self._is_number(v)}
            owner = next(iter(arrays)) if len(arrays) == 1 else None
            values = [v if v.leaf == owner else self._of_step(v) for v in values]
            leaves = {owner} - {None}
        leaf = next(iter(leaves), None)
        axes = axes_of.merge((v.axes for v in values), len(out.shape))
        term = self.terms(
            equation.primitive,
            parameter_of(equation.primitive, equation.params),
            [v.term for v in values],
            out.dtype,
            self._extent([v.term.kept for v in values], leaf),
        )
        return Value(term, leaf, axes)

    def _extent(self, extents: Sequence[Kept], leaf: int | None) -> Kept:
        """The extent of an operation on values of some extents."""
        if leaf is None:
            return None
        if ALL in extents:
            return ALL
        partial = {kept for kept in extents if isinstance(kept, tuple)}
        kept = tuple(sorted({axis for one in partial for axis in one}))
        if kept and kept == self._axes(leaf):
            return ALL
        if kept not in partial:
            raise NotImportedError("it pairs rows and columns of more than two axes")
        return kept

    def _axes(self, leaf: int) -> tuple[int, ...]:
        """The axes of a leaf that have a size other than 1."""
        return tuple(axis for axis, size in enumerate(self.leaf_shapes[leaf]) if size != 1)

    def _reshaped(self, equation: Equation, value: Value, out: Array) -> Value:
        shape = equation.inputs[0].shape
        if equation.primitive == "broadcast_in_dim":
            axes = axes_of.broadcast(value.axes, shape, out.shape, equation.params["broadcast_dimensions"])
        else:
            whole = None if value.leaf is None else self.leaf_shapes[value.leaf]
            again = None if whole is None else axes_of.unflatten(value.axes, out.shape, whole)
            axes = axes_of.reshape(value.axes, shape, out.shape) if again is None else again
        return Value(value.term, value.leaf, axes)

    def _reduced(self, equation: Equation, value: Value, out: Array) -> Value:
        if value.leaf is None and axes_of.size(equation.inputs[0].shape) == 0 and out.shape == ():
            term = self.terms("literal", repr(NOTHING[equation.primitive]), (), out.dtype, None)
            return Value(term, None, ())
        kind = REDUCTIONS[equation.primitive]
        return self._fold_axes(kind, value, equation.inputs[0].shape, equation.params["axes"], out)

    def _dot(self, equation: Equation, values: Sequence[Any_], out: Array) -> Value:
        """The inner product of two arrays: their product, summed up."""
        shape = equation.inputs[0].shape
        every = tuple(range(len(shape)))
        if equation.params["dimension_numbers"] != ((every, every), ((), ())):
            raise NotImportedError("the IR has no product of matrices")
        product = Equation("mul", {}, equation.inputs, (), equation.bind, equation.source_info)
        both = self._mapped(product, [self._finished(v) for v in values], Array(out.number, shape, out.dtype))
        if both.leaf is None and axes_of.size(shape) != 1:
            raise NotImportedError("it folds what is the same along an axis")
        return self._fold_axes("add", both, shape, every, out)

    def _fold_axes(self, kind: str, value: Value, shape: Shape, dimensions: Sequence[int], out: Array) -> Value:
        axes, folded = axes_of.fold(value.axes, shape, dimensions)
        if value.leaf is None:
            return Value(value.term, None, axes)
        old = value.term.kept
        before = self._axes(value.leaf) if old == ALL else old
        assert isinstance(before, tuple)
        kept = () if axes_of.FLAT in folded else tuple(axis for axis in before if axis not in folded)
        if kept == old:
            return Value(value.term, value.leaf, axes)
        if kept and kept == before:
            return Value(value.term, value.leaf, axes)
        if kept and old != ALL:
            raise NotImportedError("it folds an array that has some axes of its leaf to one that has fewer")
        if kind in ("add", "max", "min") and not jnp.issubdtype(out.dtype, jnp.floating):
            raise NotImportedError(f"the IR folds no {out.dtype}")
        return Value(self.terms("reduce", kind, [value.term], out.dtype, kept), value.leaf, axes)

    # Over leaves

    def _stacked(self, equation: Equation, values: Sequence[Any_]) -> Stack:
        items: list[Value] = []
        for value, atom in zip(values, equation.inputs, strict=True):
            if isinstance(value, Stack):
                items += value.items
            elif atom.shape == ((1,) if equation.primitive == "concatenate" else ()):
                one = self._finished(value)
                items.append(Value(one.term, one.leaf, ()))
            else:
                raise NotImportedError("it joins arrays")
        return Stack(tuple(items))

    def _on_stacks(self, equation: Equation, values: Sequence[Any_], out: Array, count: int) -> Stack:
        made: list[Value] = []
        one = Array(out.number, (), out.dtype)
        for i in range(count):
            given = [v.items[i] if isinstance(v, Stack) else self._finished(v) for v in values]
            if any(v.term.kept is not None and not isinstance(w, Stack) for v, w in zip(given, values, strict=True)):
                raise NotImportedError("it pairs one number for each leaf with an array of a leaf")
            made.append(self._mapped(equation, [Value(v.term, v.leaf, ()) for v in given], one))
        return Stack(tuple(made))

    def _folded(self, kind: str, stack: Stack, out: Array) -> Any_:
        if out.shape != ():
            raise NotImportedError("it folds some axes of one number for each leaf")
        result: Chain | Value = stack.items[0]
        for item in stack.items[1:]:
            result = Chain(kind, result, item)
        return checked(result, out.dtype)

    def _finished(self, value: Any_) -> Value:
        if isinstance(value, Value):
            return value
        if isinstance(value, Unknown):
            raise NotImportedError(value.why)
        if isinstance(value, Stack):
            raise NotImportedError("an array of one number for each leaf")
        return self._fold(value.op, value.items())

    def _fold(self, kind: str, items: Sequence[Value]) -> Value:
        parameter = (kind, tuple(item.leaf for item in items))
        return Value(self.terms("fold", parameter, [i.term for i in items], items[-1].term.dtype, None), None, ())

    def _is_number(self, value: Value) -> bool:
        """Whether a value of a leaf is one number."""
        return value.leaf is None or value.term.kept == () or axes_of.size(self.leaf_shapes[value.leaf]) == 1

    def _of_step(self, value: Value) -> Value:
        """A number of one leaf as one of the step."""
        if value.leaf is None:
            return value
        if not self._is_number(value):
            raise NotImportedError("it mixes elements of different leaves")
        is_bool = value.term.dtype == np.bool_
        if not is_bool and not jnp.issubdtype(value.term.dtype, jnp.floating):
            raise NotImportedError(f"the IR folds no {value.term.dtype}")
        self._picked.add((value.term, value.leaf))
        if len(self._picked) > MOST_PICKED:
            raise NotImportedError(f"it mixes numbers of more than {MOST_PICKED} leaves, other than by a fold")
        found = self._fold("or" if is_bool else "max", [Value(value.term, value.leaf, ())])
        return Value(found.term, None, (None,) * len(value.axes))
