"""Writes formulas into a module of the `optim` dialect.

A `Builder` owns one function. Trees are emitted one `optim.map` an operation and one dtype group at a time; the passes
fuse them. Sub-float32 leaves are widened when they are read and rounded once when they are stored.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from xdsl.dialects.builtin import FloatAttr, SymbolRefAttr, f64, i1
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from optcc import base
from optcc.dialect import (
    CallOp,
    Combiner,
    Extent,
    HyperOp,
    JoinOp,
    Leaf,
    LeavesOp,
    MapOp,
    ReduceOp,
    SplitOp,
    TreeType,
    YieldOp,
    element_type,
)
from optcc.errors import message
from optcc.ir import emit
from optcc.ir.definition import Definition
from optcc.ir.dtypes import compute_dtype, default_float, dtype_of, type_of
from optcc.ir.naming import hyper_names
from optcc.ir.values import PYTHON, LeafSet, Scalar, Tree

NO_PARAMS = "this transformation needs the current parameters, but `update` was called without `params`"

Operand = Any
"""A tree, a scalar or a Python number."""


class MixedGroupError(Exception):
    """Leaves of one group have come to have two dtypes: the program must be built again with them apart.

    `leaves` are those on one side.
    """

    def __init__(self, leaves: frozenset[int]) -> None:
        super().__init__(leaves)
        self.leaves = leaves


class Builder:
    """Emits the ops of one function into `block`, before it the leaf sets into the module's block."""

    def __init__(self, module_block: Block, block: Block, root: Definition) -> None:
        self._module_block = module_block
        self._block = block
        self._hyper_names = hyper_names(root)
        self._path: tuple[int, ...] = ()
        self._scopes: list[str] = []
        self._leaves: dict[str, tuple[Leaf, ...]] = {}
        self._symbols: dict[tuple[Leaf, ...], str] = {}
        self._roots = 0
        self._hypers: dict[str, Scalar] = {}
        self.bindings: dict[str, Any] = {}
        """Hyperparameters given as arrays, by name: they have no default in the module."""
        self.callables: dict[str, Callable[..., Any]] = {}
        """The functions behind the module's opaque calls, by callee."""
        self.extra_args: dict[str, Tree] | None = None
        """The extra keyword arguments of `update`, each a tree over leaves of its own, if there are any."""

    # Where we are in the chain

    def apply(self, index: int | None, definition: Definition, updates: Tree, state: Any, params: Tree | None):
        """Emit the update of a child of a combinator, its hyperparameters named by `index`."""
        with self._scope(index, definition):
            return definition.update(self, updates, state, params, **self._hypers_of(definition))

    def initialize(self, index: int | None, definition: Definition, params: Tree) -> Any:
        """Emit the initial state of a child of a combinator."""
        with self._scope(index, definition):
            return definition.init(self, params)

    @contextlib.contextmanager
    def _scope(self, index: int | None, definition: Definition) -> Iterator[None]:
        old = self._path
        self._path = old if index is None else (*old, index)
        self._scopes.append(definition.name)
        try:
            yield
        finally:
            self._path = old
            self._scopes.pop()

    @property
    def where_in_chain(self) -> str:
        """The chain index and name of the transformation being built, for errors."""
        index = "".join(f"[{i}]" for i in self._path)
        return f"chain{index} {self._scopes[-1]}" if index else self._scopes[-1]

    def unique_name(self, name: str) -> str:
        """`name` behind the chain index, for callees."""
        return ".".join([*map(str, self._path), name])

    @contextlib.contextmanager
    def masked_extra_args(self, enabled: bool, select: Callable[[Tree], Tree]) -> Iterator[None]:
        """Within the block, if enabled, the extra arguments are those that `select` makes of them."""
        old = self.extra_args
        if enabled and old is not None:
            self.extra_args = {name: select(tree) for name, tree in old.items()}
        try:
            yield
        finally:
            self.extra_args = old

    def require_params(self, params: Tree | None) -> Tree:
        """The parameters. Raises ValueError when `update` was not given any."""
        if params is None:
            raise ValueError(message(NO_PARAMS, self.where_in_chain, "call update(updates, state, params)"))
        return params

    # Leaf sets

    def define_root(
        self, name: str, structure: Any, leaves: Sequence[Leaf], signatures: Sequence[tuple[str, ...]]
    ) -> LeafSet:
        """The leaf set of a whole pytree, in groups of leaves with one signature of dtypes."""
        order = list(dict.fromkeys(signatures))
        groups: dict[int, str] = {}
        members: dict[int, tuple[int, ...]] = {}
        for k, key in enumerate(order):
            members[k] = tuple(i for i, s in enumerate(signatures) if s == key)
            suffix = "" if len(order) == 1 else f"_{'_'.join(dict.fromkeys(key))}"
            groups[k] = self._define(name + suffix, tuple(leaves[i] for i in members[k]))
        self._roots += 1
        return LeafSet(self._roots, structure, groups, members)

    def restrict(self, root: LeafSet, subset: LeafSet) -> LeafSet:
        """The leaves of `subset`, a set of another builder over the same pytree, in the groups of `root`."""
        chosen = set(subset.leaves)
        groups: dict[int, str] = {}
        members: dict[int, tuple[int, ...]] = {}
        for k, symbol in root.groups.items():
            keep = [i in chosen for i in root.members[k]]
            if any(keep):
                members[k] = tuple(itertools.compress(root.members[k], keep))
                groups[k] = self._define(f"{symbol}_on", tuple(itertools.compress(self._leaves[symbol], keep)))
        return LeafSet(root.root, subset.structure, groups, members)

    def leaves_of(self, symbol: str) -> tuple[Leaf, ...]:
        """The leaves of a leaf set of this module."""
        return self._leaves[symbol]

    def _define(self, name: str, leaves: tuple[Leaf, ...]) -> str:
        """The symbol of a leaf set with these leaves: one set, one symbol."""
        if leaves in self._symbols:
            return self._symbols[leaves]
        unique, n = name, 1
        while unique in self._leaves:
            unique, n = f"{name}_{n}", n + 1
        self._leaves[unique] = leaves
        self._symbols[leaves] = unique
        function = self._block.parent_op()
        assert function is not None
        self._module_block.insert_op_before(LeavesOp(unique, leaves), function)
        return unique

    def split(self, tree: Tree, selected: Sequence[bool], structures: tuple[Any, Any]) -> tuple[Tree, Tree]:
        """Part a tree by leaf: those selected, in tree order, and the rest, with the structures given."""
        old = tree.leaf_set
        chosen = {leaf for leaf, take in zip(old.leaves, selected, strict=True) if take}
        parts: tuple[dict[int, SSAValue], ...] = ({}, {})
        names: tuple[dict[int, str], ...] = ({}, {})
        members: tuple[dict[int, tuple[int, ...]], ...] = ({}, {})
        for k, symbol in old.groups.items():
            keep = [i in chosen for i in old.members[k]]
            masks = {0: keep, 1: [not take for take in keep]}
            sides = [side for side, mask in masks.items() if any(mask)]
            for side in sides:
                members[side][k] = tuple(itertools.compress(old.members[k], masks[side]))
                leaves = tuple(itertools.compress(self._leaves[symbol], masks[side]))
                names[side][k] = self._define(f"{symbol}_{('on', 'off')[side]}", leaves)
            value = tree.parts[k]
            assert isinstance(value.type, TreeType)
            if len(sides) == 1:
                parts[sides[0]][k] = value
                continue
            results = self._add(SplitOp(value, [value.type.with_leaves(names[side][k]) for side in sides])).results
            for side, result in zip(sides, results, strict=True):
                parts[side][k] = result
        on, off = (
            Tree(
                self,
                LeafSet(old.root, structures[side], names[side], members[side]),
                parts[side],
                {k: tree.dtypes[k] for k in parts[side]},
                per_leaf=tree.per_leaf,
            )
            for side in (0, 1)
        )
        return on, off

    def join(self, on: Tree, off: Tree, whole: LeafSet) -> Tree:
        """Put the two sides of a split together again, over the leaf set that was split.

        Raises MixedGroupError where the sides of a group now differ in their dtype.
        """
        parts: dict[int, SSAValue] = {}
        dtypes: dict[int, np.dtype] = {}
        for k, symbol in whole.groups.items():
            sides = [side for side in (on, off) if k in side.parts]
            if len({side.dtypes[k] for side in sides}) > 1:
                raise MixedGroupError(frozenset(on.leaf_set.leaves))
            dtypes[k] = sides[0].dtypes[k]
            values = [side.parts[k] for side in sides]
            if len(values) == 1:
                parts[k] = values[0]
                continue
            first = values[0].type
            assert isinstance(first, TreeType)
            parts[k] = self._add(JoinOp(values, first.with_leaves(symbol))).results[0]
        return Tree(self, whole, parts, dtypes, per_leaf=on.per_leaf)

    # Making values

    def load(self, leaf_set: LeafSet, values: dict[int, SSAValue]) -> Tree:
        """A tree from the function's arguments: floats below float32 are widened here."""
        dtypes: dict[int, np.dtype] = {}
        parts: dict[int, SSAValue] = {}
        per_leaf = False
        for k, value in values.items():
            assert isinstance(value.type, TreeType)
            dtypes[k] = dtype_of(value.type.element)
            parts[k] = self._cast_part(value, type_of(compute_dtype(dtypes[k])))
            per_leaf = not value.type.has_elements
        return Tree(self, leaf_set, parts, dtypes, per_leaf=per_leaf)

    def store(self, tree: Tree, dtypes: dict[int, np.dtype] | None = None) -> dict[int, SSAValue]:
        """The values of a tree in the dtypes given, or in its own: the one place where a tree is rounded."""
        dtypes = dtypes or tree.dtypes
        return {k: self._cast_part(part, type_of(dtypes[k])) for k, part in tree.parts.items()}

    def full_like(self, tree: Tree, value: float | Scalar, dtype: Any = None, *, per_leaf: bool = False) -> Tree:
        """A tree of one number, of `dtype` or of the dtypes of `tree`; if `per_leaf`, a 0-d one for each leaf."""
        target = None if dtype is None else np.dtype(dtype)
        dtypes = {k: target or d for k, d in tree.dtypes.items()}

        def part(k: int) -> SSAValue:
            type_ = type_of(compute_dtype(dtypes[k]))
            inputs = [self.scalar_as(value, type_)] if isinstance(value, Scalar) else []

            def body(block: Block, *args: SSAValue) -> SSAValue:
                return args[0] if args else emit.constant(block, float(value), type_)  # type: ignore[arg-type]

            return self._map(tree.leaf_set.groups[k], inputs, body, type_, per_leaf=per_leaf)

        return Tree(self, tree.leaf_set, {k: part(k) for k in tree.parts}, dtypes, per_leaf=per_leaf)

    def zeros_like(self, tree: Tree, dtype: Any = None) -> Tree:
        """A tree of zeros, of `dtype` or of the dtypes of `tree`."""
        return self.full_like(tree, 0.0, dtype)

    def cast(self, tree: Tree, dtype: Any) -> Tree:
        """The same values, to be rounded to `dtype` when they are stored; None leaves the dtypes as they are."""
        if dtype is None:
            return tree
        dtypes = dict.fromkeys(tree.parts, np.dtype(dtype))
        parts = {k: self._cast_part(v, type_of(compute_dtype(dtypes[k]))) for k, v in tree.parts.items()}
        return Tree(self, tree.leaf_set, parts, dtypes, per_leaf=tree.per_leaf)

    def cast_like(self, tree: Tree, like: Tree) -> Tree:
        """The same values with the dtypes of `like`."""
        parts = {k: self._cast_part(v, type_of(compute_dtype(like.dtypes[k]))) for k, v in tree.parts.items()}
        return Tree(self, tree.leaf_set, parts, dict(like.dtypes), per_leaf=tree.per_leaf)

    def integer(self, value: int) -> Scalar:
        """A 0-d int32."""
        return Scalar(self, emit.constant(self._block, value, type_of(np.int32)), np.dtype(np.int32), weak=False)

    def number(self, value: float, dtype: Any, *, weak: bool = True) -> Scalar:
        """A 0-d constant of a numpy dtype."""
        return Scalar(self, emit.constant(self._block, value, type_of(dtype)), np.dtype(dtype), weak=weak)

    def scalar(self, value: SSAValue, *, weak: bool = False) -> Scalar:
        """Wrap an SSA value of the function."""
        return Scalar(self, value, dtype_of(value.type), weak=weak)

    def hyper(self, name: str, value: Any) -> Scalar:
        """The hyperparameter `name` of the transformation being built.

        A Python number stays exact until it meets an array; a 0-d array keeps its dtype, and may be traced.
        """
        key = self._hyper_names[(*self._path, name)]
        if key in self._hypers:
            return self._hypers[key]
        if isinstance(value, bool | int | float):
            op = self._add(HyperOp(key, f64, FloatAttr(float(value), f64)))
            result = Scalar(self, op.results[0], PYTHON, weak=True)
        else:
            array = jnp.asarray(value)
            if array.ndim or not jnp.issubdtype(array.dtype, jnp.number):
                raise TypeError(
                    message(
                        f"hyperparameter '{name}' must be a number or a 0-d array, "
                        f"got {array.dtype}{list(array.shape)}",
                        self.where_in_chain,
                    )
                )
            dtype = array.dtype if jnp.issubdtype(array.dtype, jnp.floating) else default_float()
            op = self._add(HyperOp(key, type_of(dtype)))
            self.bindings[key] = array.astype(dtype)
            result = Scalar(self, op.results[0], np.dtype(dtype), weak=bool(array.aval.weak_type))
        op.results[0].name_hint = name
        self._hypers[key] = result
        return result

    def _hypers_of(self, definition: Definition) -> dict[str, Scalar]:
        return {name: self.hyper(name, value) for name, value in definition.hypers.items()}

    # Arithmetic

    def binary(self, kind: str, lhs: Operand, rhs: Operand) -> Any:
        """`add`, `sub`, `mul`, `div`, `max`, `min` or `pow`, broadcasting scalars and per-leaf values."""
        return self._elementwise(lambda block, a, b: emit.binary(block, kind, a, b), lhs, rhs)

    def unary(self, kind: str, value: Any) -> Any:
        """One of `emit.UNARY`."""
        return self._elementwise(lambda block, a: emit.unary(block, kind, a), value)

    def compare(self, kind: str, lhs: Operand, rhs: Operand) -> Any:
        """`lt`, `le`, `gt`, `ge`, `eq` or `ne`, as bools."""
        return self._elementwise(lambda block, a, b: emit.compare(block, kind, a, b), lhs, rhs, boolean=True)

    def logical(self, kind: str, lhs: Operand, rhs: Operand) -> Any:
        """`or` or `and` of bools."""
        return self._elementwise(lambda block, a, b: emit.binary(block, kind, a, b), lhs, rhs, boolean=True)

    def where(self, condition: Any, true: Any, false: Any) -> Any:
        """`true` where the condition holds, else `false`."""
        return self._elementwise(emit.select, condition, true, false, first_is_bool=True)

    def maximum(self, lhs: Operand, rhs: Operand) -> Any:
        """The larger; NaN if either is."""
        return self.binary("max", lhs, rhs)

    def minimum(self, lhs: Operand, rhs: Operand) -> Any:
        """The smaller; NaN if either is."""
        return self.binary("min", lhs, rhs)

    def sqrt(self, value: Any) -> Any:
        return self.unary("sqrt", value)

    def rsqrt(self, value: Any) -> Any:
        return self.unary("rsqrt", value)

    def abs(self, value: Any) -> Any:
        return self.unary("abs", value)

    def tanh(self, value: Any) -> Any:
        return self.unary("tanh", value)

    def sign(self, value: Any) -> Any:
        return self._elementwise(emit.sign, value)

    def square(self, value: Any) -> Any:
        return self.power(value, 2)

    def power(self, lhs: Any, rhs: Any) -> Any:
        """`lhs**rhs`; a positive Python integer as exponent multiplies out."""
        if isinstance(rhs, int) and rhs > 0:
            return self._elementwise(lambda block, a: emit.integer_power(block, a, rhs), lhs)
        return self.binary("pow", lhs, rhs)

    def increment(self, count: Scalar) -> Scalar:
        """`count + 1`, staying at the largest integer instead of wrapping."""
        limit = int(jnp.iinfo(count.dtype).max)
        return self.where(count < limit, count + 1, limit)

    def _elementwise(
        self, emit_fn: Callable[..., SSAValue], *operands: Any, boolean: bool = False, first_is_bool: bool = False
    ) -> Any:
        values = operands[1:] if first_is_bool else operands
        trees = [v for v in operands if isinstance(v, Tree)]
        if not trees:
            return self._scalar_op(emit_fn, operands, boolean, first_is_bool)
        leaf_set = trees[0].leaf_set
        for tree in trees[1:]:
            if (tree.leaf_set.root, tree.leaf_set.members) != (leaf_set.root, leaf_set.members):
                raise TypeError("the trees of one operation must be over the same leaves; split or join them first")
        per_leaf = all(tree.per_leaf for tree in trees)
        parts: dict[int, SSAValue] = {}
        dtypes: dict[int, np.dtype] = {}
        for k, symbol in leaf_set.groups.items():
            dtype = _promote([_logical(v, k) for v in values])
            element = type_of(compute_dtype(dtype))
            inputs: list[SSAValue] = []
            slots: list[float | None] = []
            for i, v in enumerate(operands):
                wanted = i1 if first_is_bool and i == 0 else element
                if isinstance(v, Tree):
                    inputs.append(v.parts[k])
                elif isinstance(v, Scalar):
                    inputs.append(self.scalar_as(v, wanted))
                slots.append(None if isinstance(v, Tree | Scalar) else float(v))

            def body(
                block: Block, *args: SSAValue, slots: list[float | None] = slots, element: Attribute = element
            ) -> SSAValue:
                rest = iter(args)
                given = [next(rest) if s is None else emit.constant(block, s, element) for s in slots]
                fixed = [a if first_is_bool and i == 0 else emit.cast(block, a, element) for i, a in enumerate(given)]
                return emit_fn(block, *fixed)

            parts[k] = self._map(symbol, inputs, body, i1 if boolean else element, per_leaf=per_leaf)
            dtypes[k] = np.dtype(bool) if boolean else dtype
        return Tree(self, leaf_set, parts, dtypes, per_leaf=per_leaf)

    def _scalar_op(
        self, emit_fn: Callable[..., SSAValue], operands: Sequence[Any], boolean: bool, first_is_bool: bool
    ) -> Scalar:
        values = operands[1:] if first_is_bool else operands
        scalars = [v for v in values if isinstance(v, Scalar)]
        host = all(v.dtype is PYTHON for v in scalars)
        if host:
            dtype: Any = PYTHON
            type_: Attribute = f64
        else:
            dtype = _promote([v.dtype if isinstance(v, Scalar) and not v.weak else _weak(v) for v in values])
            type_ = type_of(dtype)
        args: list[SSAValue] = []
        for i, v in enumerate(operands):
            if isinstance(v, Scalar):
                args.append(v.value if first_is_bool and i == 0 else self.scalar_as(v, type_))
            else:
                args.append(emit.constant(self._block, v, type_))
        result = emit_fn(self._block, *args)
        return Scalar(self, result, np.dtype(bool) if boolean else dtype, weak=all(v.weak for v in scalars))

    def scalar_as(self, scalar: Scalar, type_: Attribute) -> SSAValue:
        """The SSA value of a scalar, converted to a type."""
        return emit.cast(self._block, scalar.value, type_)

    # Reductions

    def reduce_tree(self, tree: Tree, kind: Combiner = Combiner.ADD) -> Scalar:
        """Fold every value of a tree into one scalar, group after group."""
        total: Scalar | None = None
        for part in tree.parts.values():
            value = self.scalar(self._add(ReduceOp(kind, part, element_type(part.type))).results[0], weak=True)
            combine = {Combiner.ADD: "add", Combiner.MAX: "max", Combiner.MIN: "min"}[kind]
            total = value if total is None else self.binary(combine, total, value)
        return self.number(0.0, default_float()) if total is None else total

    def reduce_leaves(self, tree: Tree, kind: Combiner = Combiner.ADD) -> Tree:
        """Fold each leaf into one value."""
        parts: dict[int, SSAValue] = {}
        for k, part in tree.parts.items():
            assert isinstance(part.type, TreeType)
            type_ = TreeType.of(part.type.element, part.type.leaves, Extent.PER_LEAF)
            parts[k] = self._add(ReduceOp(kind, part, type_)).results[0]
        return Tree(self, tree.leaf_set, parts, dict(tree.dtypes), per_leaf=True)

    def mean_per_leaf(self, tree: Tree) -> Tree:
        """The mean over each leaf; 0 for a leaf without elements. Leaves of one size are divided together."""
        sums = tree.sum_per_leaf()
        parts: dict[int, SSAValue] = {}
        for k, value in sums.parts.items():
            symbol, type_ = sums.leaf_set.groups[k], value.type
            assert isinstance(type_, TreeType)
            by_size: dict[int, list[Leaf]] = {}
            for leaf in self._leaves[symbol]:
                by_size.setdefault(max(leaf.size, 1), []).append(leaf)
            names = [self._define(f"{symbol}_of_{size}", tuple(leaves)) for size, leaves in by_size.items()]
            alone = len(names) == 1
            pieces = [value] if alone else self._add(SplitOp(value, [type_.with_leaves(n) for n in names])).results
            means: list[SSAValue] = []
            for size, name, piece in zip(by_size, names, pieces, strict=True):

                def body(block: Block, total: SSAValue, size: int = size) -> SSAValue:
                    return emit.binary(block, "div", total, emit.constant(block, size, total.type))

                means.append(self._map(name, [piece], body, type_.element, per_leaf=True))
            parts[k] = means[0] if alone else self._add(JoinOp(means, type_)).results[0]
        return Tree(self, sums.leaf_set, parts, dict(sums.dtypes), per_leaf=True)

    def global_norm(self, tree: Tree) -> Scalar:
        """The Euclidean norm of all elements together."""
        return self.sqrt(self.square(tree).sum())

    def norm_per_leaf(self, tree: Tree) -> Tree:
        """The Euclidean norm of each leaf."""
        return self.sqrt(self.square(tree).sum_per_leaf())

    # Functions that the IR does not look into

    def call(
        self, name: str, function: Callable[..., Any], operands: Sequence[Tree | Scalar], results: Sequence[Any]
    ) -> list[Any]:
        """Call `function` on the operands, stored in their dtypes.

        `function` takes one argument for each operand, a list of arrays in leaf order for a tree, an array for a
        scalar, and returns the same for each of `results`: a pair of a leaf set and its dtypes by group, or a dtype.
        """
        callee = self.unique_name(name)
        counts: list[list[tuple[int, ...]] | None] = []
        inputs: list[SSAValue] = []
        for operand in operands:
            if isinstance(operand, Tree):
                stored = self.store(operand)
                inputs += stored.values()
                counts.append([operand.leaf_set.members[k] for k in stored])
            else:
                inputs.append(self.scalar_as(operand, type_of(operand.array_dtype)))
                counts.append(None)
        types: list[Attribute] = []
        for result in results:
            if isinstance(result, tuple):
                leaf_set, dtypes = result
                types += [TreeType.of(type_of(dtypes[k]), s) for k, s in leaf_set.groups.items()]
            else:
                types.append(type_of(result))
        layouts = [tuple(r[0].members.values()) if isinstance(r, tuple) else None for r in results]

        def flat(*values: Any) -> list[Any]:
            arguments = _regroup(list(values), counts)
            out: list[Any] = []
            for value, layout in zip(function(*arguments), layouts, strict=True):
                if layout is None:
                    out.append(value)
                else:
                    order = {leaf: i for i, leaf in enumerate(sorted(m for ms in layout for m in ms))}
                    out += [[value[order[m]] for m in ms] for ms in layout]
            return out

        self.callables[callee] = flat
        values = iter(self._add(CallOp(callee, inputs, types)).results)
        made: list[Any] = []
        for result in results:
            if isinstance(result, tuple):
                made.append(self.load(result[0], {k: next(values) for k in result[0].groups}))
            else:
                made.append(self.scalar(next(values)))
        return made

    def schedule(self, function: base.Schedule, count: Scalar) -> Scalar:
        """A schedule's value at `count`: its own arithmetic where the IR has it, else an opaque call."""
        from optcc.ir.jaxpr import import_scalar_function

        imported = import_scalar_function(self, function, count)
        if imported is not None:
            return imported
        aval = jax.eval_shape(function, jax.ShapeDtypeStruct((), count.dtype))
        result = self.call("schedule", lambda c: [jnp.asarray(function(c))], [count], [aval.dtype])[0]
        result.weak = bool(getattr(aval, "weak_type", False))
        return result

    # Emission

    @property
    def block(self) -> Block:
        """Where step-level ops go."""
        return self._block

    def _add(self, op: Operation) -> Operation:
        self._block.add_op(op)
        return op

    def _cast_part(self, part: SSAValue, element: Attribute) -> SSAValue:
        type_ = part.type
        assert isinstance(type_, TreeType)
        if type_.element == element:
            return part
        return self._map(
            type_.leaves,
            [part],
            lambda block, a: emit.cast(block, a, element),
            element,
            per_leaf=not type_.has_elements,
        )

    def _map(
        self,
        symbol: str | SymbolRefAttr,
        inputs: Sequence[SSAValue],
        body: Callable[..., SSAValue],
        element: Attribute,
        *,
        per_leaf: bool,
    ) -> SSAValue:
        symbol = SymbolRefAttr(symbol) if isinstance(symbol, str) else symbol
        block = Block(arg_types=[element_type(v.type) for v in inputs])
        result = body(block, *block.args)
        block.add_op(YieldOp(result))
        type_ = TreeType.of(element, symbol, Extent.PER_LEAF if per_leaf else Extent.ELEMENTS)
        return self._add(MapOp(symbol, inputs, [type_], Region(block))).results[0]


def _logical(value: Any, group: int) -> Any:
    if isinstance(value, Tree):
        return value.dtypes[group]
    return value.dtype if isinstance(value, Scalar) and not value.weak else _weak(value)


def _weak(value: Any) -> Any:
    """A Python type that promotes as JAX promotes a weakly typed value."""
    if not isinstance(value, Scalar):
        return type(value)
    if value.dtype is PYTHON or jnp.issubdtype(value.dtype, jnp.floating):
        return float
    return bool if value.dtype == bool else int


def _promote(dtypes: Sequence[Any]) -> np.dtype:
    return np.dtype(jnp.result_type(*dtypes))


def _regroup(values: list[Any], counts: Sequence[list[tuple[int, ...]] | None]) -> list[Any]:
    """Turn one value for each SSA operand into one for each tree or scalar, trees in leaf order."""
    out: list[Any] = []
    rest = iter(values)
    for groups in counts:
        if groups is None:
            out.append(next(rest))
            continue
        by_leaf = {leaf: array for members in groups for leaf, array in zip(members, next(rest), strict=True)}
        out.append([by_leaf[leaf] for leaf in sorted(by_leaf)])
    return out
