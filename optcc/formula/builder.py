"""Writes formulas into a module of the `optim` dialect.

A `Builder` owns one function. Trees are emitted one `optim.map` an operation and one dtype group at a time; the passes
fuse them. Sub-float32 leaves are widened when they are read and rounded once when they are stored.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from xdsl.dialects.builtin import FloatAttr, f64
from xdsl.ir import Attribute, Block, SSAValue

from optcc import base
from optcc.base import OptState, PyTree
from optcc.dialect import CallOp, HyperOp, KeyType, TreeType
from optcc.dtypes import default_float, type_of
from optcc.errors import message
from optcc.formula.definition import Definition
from optcc.formula.folds import TreeEmitter
from optcc.formula.hyper_names import Path, hyper_names
from optcc.formula.hyper_values import check_number, exact
from optcc.formula.leaf_sets import LeafSets
from optcc.formula.values import HOST_F64, Key, Scalar, Tree
from optcc.logs import log
from optcc.pass_through import passed_in
from optcc.program.arrays import outside_trace

NO_PARAMS = "this transformation needs the current parameters, but `update` was called without `params`"


@dataclass(frozen=True, eq=False)
class OpaqueFunction:
    """A function that the IR calls, and why it is no part of the IR, if that is known."""

    function: Callable[..., list[Any]]
    why: str

    def __call__(self, *values: Any) -> list[Any]:
        return self.function(*values)


class Outside(Protocol):
    """What functions of one module share, and keep outside of it; the builder's attributes have these names, too."""

    bindings: dict[str, Any]
    callables: dict[str, Callable[..., Any]]
    zeroed: set[int]
    literals: dict[str, str]


class Builder(TreeEmitter):
    """Emits the ops of one function: where we are in the chain, its hyperparameters, and opaque functions."""

    def __init__(
        self,
        leaf_sets: LeafSets,
        block: Block,
        root: Definition,
        module: Outside,
    ) -> None:
        super().__init__(leaf_sets, block)
        self._hyper_names, self._root_name = hyper_names(root), root.name
        self._path: Path = ()
        self._scopes: list[str] = []
        self._hypers: dict[str, Scalar] = {}
        self.bindings = module.bindings
        """Hyperparameters given as arrays, by name: they have no default in the module."""
        self.callables = module.callables
        """The functions behind the module's opaque calls, by callee."""
        self.zeroed = module.zeroed
        """The places of leaves that pass through and whose updates are set to zero."""
        self.literals = module.literals
        """Where the numbers of foreign functions stand that are hyperparameters, by name: file and line."""
        self.known_literals: dict[tuple[str, float], Scalar] = {}
        """The same numbers in this function, by the place in the chain and the value."""
        self.extra_args: dict[str, Tree] | None = None
        """The extra keyword arguments of `update`, each a tree over leaves of its own, if there are any."""
        self.extra_functions: Mapping[str, Callable[..., Any]] = {}
        """The extra keyword arguments of `update` that are functions."""

    # Where we are in the chain

    def apply(
        self, index: int | str | None, definition: Definition, updates: Tree, state: OptState, params: Tree | None
    ):
        """Emit the update of a child of a combinator, its hyperparameters named by `index`, or by its label."""
        with self._scope(index, definition):
            self._check_passed(definition, updates)
            return definition.update(self, updates, state, params, **self._hypers_of(definition))

    def initialize(self, index: int | str | None, definition: Definition, params: Tree) -> Any:
        """Emit the initial state of a child of a combinator."""
        with self._scope(index, definition):
            self._check_passed(definition, params)
            return definition.init(self, params)

    def _check_passed(self, definition: Definition, tree: PyTree) -> None:
        """Check that a transformation need not compute with a leaf that is no float. Raises TypeError."""
        if definition.passes_through:
            return
        for one in tree if isinstance(tree, base.LookaheadParams) else [tree]:
            for leaf in passed_in(one.leaf_set.structure):
                fix = "leave it out of the pytree that is optimized, or transform the others only, with optcc.masked"
                what = f"a parameter must be a float or complex array, got {leaf.described}"
                raise TypeError(message(what, f"leaf {leaf.path!r} in {self.where_in_chain}", fix))

    @contextlib.contextmanager
    def _scope(self, index: int | str | None, definition: Definition) -> Iterator[None]:
        old, scope = self._path, self.scope
        self._path = old if index is None else (*old, index)
        self._scopes.append(definition.name)
        self.scope = self.where_in_chain
        try:
            yield
        finally:
            self._path, self.scope = old, scope
            self._scopes.pop()

    @property
    def where_in_chain(self) -> str:
        """The chain index and name of the transformation being built, for errors."""
        index = "".join(f"[{i}]" for i in self._path)
        name = self._scopes[-1] if self._scopes else self._root_name
        return f"chain{index} {name}" if index else name

    def unique_name(self, name: str) -> str:
        """`name` behind the chain index, as callees are called."""
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

    # Hyperparameters

    def hyper(self, name: str, value: Any) -> Scalar:
        """The hyperparameter `name` of the transformation being built.

        A Python number stays exact until it meets an array; a 0-d array keeps its dtype, and may be traced. A scalar
        of this function, as an injected hyperparameter is one, is taken as it is.
        """
        if isinstance(value, Scalar):
            return self._own(name, value)
        path = (*self._path, name)
        # A definition made while the program is built is not below the root; its full path is a name of its own.
        key = self._hyper_names.get(path) or ".".join(map(str, path))
        if key in self._hypers:
            return self._hypers[key]
        check_number(name, value, self.where_in_chain)
        if isinstance(value, int | float):
            op = self.add(HyperOp(key, f64, FloatAttr(float(value), f64)))
            result = Scalar(self, op.results[0], HOST_F64, weak=True)
        else:
            with outside_trace(value):
                array = jnp.asarray(exact(value))
            dtype = array.dtype if jnp.issubdtype(array.dtype, jnp.floating) else default_float()
            op = self.add(HyperOp(key, type_of(dtype)))
            with outside_trace(value):
                self.bindings[key] = array.astype(dtype)
            result = Scalar(self, op.results[0], np.dtype(dtype), weak=bool(array.aval.weak_type))
        op.results[0].name_hint = name
        self._hypers[key] = result
        return result

    def literal(self, value: float, where: str) -> Scalar:
        """A number of a foreign function as the hyperparameter `literal.N`; one value is one hyperparameter.

        `where` is the file and line that it is first used in.
        """
        prefix = self.unique_name("literal")
        if (prefix, value) not in self.known_literals:
            name = f"{prefix}.{sum(place == prefix for place, _ in self.known_literals)}"
            op = self.add(HyperOp(name, f64, FloatAttr(value, f64)))
            self.literals[name] = where
            self.known_literals[prefix, value] = Scalar(self, op.results[0], HOST_F64, weak=True)
        return self.known_literals[prefix, value]

    def _own(self, name: str, value: Scalar) -> Scalar:
        if value.builder is not self:
            raise TypeError(
                message(
                    f"hyperparameter '{name}' is a value of another program of the IR",
                    self.where_in_chain,
                    "make the transformation inside the function given to inject_hyperparams, not once outside",
                )
            )
        return value

    def _hypers_of(self, definition: Definition) -> dict[str, Scalar]:
        return {name: self.hyper(name, value) for name, value in definition.hypers.items()}

    # Functions that the IR does not look into

    def call(
        self,
        name: str,
        function: Callable[..., Any],
        operands: Sequence[Tree | Scalar],
        results: Sequence[Any],
        why: str = "",
    ) -> list[Any]:
        """Call `function` on the operands, stored in their dtypes.

        `function` takes one argument for each operand, a list of arrays in leaf order for a tree, an array for a
        scalar, and returns the same for each of `results`: a pair of a leaf set and its dtypes by group, or a dtype.
        `why` says in reports why it is no part of the IR.
        """
        callee = self._new_callee(name)
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
        types = [type_ for result in results for type_ in _types_of(result)]
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

        self.callables[callee] = OpaqueFunction(flat, why)
        log("opaque", f"{callee} in {self.scope or 'the chain'}: {why or 'it is called as it is'}")
        values = iter(self.add(CallOp(callee, inputs, types)).results)
        made: list[Any] = []
        for result in results:
            if isinstance(result, tuple):
                made.append(self.load(result[0], {k: next(values) for k in result[0].groups}))
            else:
                made.append(self.scalar(next(values)))
        return made

    def _new_callee(self, name: str) -> str:
        """A name for a call: the same function may be called twice in one place of the chain."""
        first = self.unique_name(name)
        names = itertools.chain([first], (f"{first}_{n}" for n in itertools.count(1)))
        return next(callee for callee in names if callee not in self.callables)

    def schedule(self, function: base.Schedule, count: Scalar) -> Scalar:
        """A schedule's value at `count`: its own arithmetic where the IR has it, else an opaque call."""
        from optcc.importers.scalar_jaxprs import import_scalar_function

        imported = import_scalar_function(self, function, count)
        if imported is not None:
            return imported
        aval = jax.eval_shape(function, jax.ShapeDtypeStruct((), count.dtype))
        result = self.call("schedule", lambda c: [jnp.asarray(function(c))], [count], [aval.dtype])[0]
        result.weak = bool(getattr(aval, "weak_type", False))
        return result

    def key(self, make: Callable[[], jax.Array]) -> Key:
        """A typed key of random numbers that the user gave."""
        implementation = str(jax.random.key_impl(make()))
        callee = self.unique_name("key")
        self.callables[callee] = lambda: [jax.random.key_data(make())]
        return Key(self.add(CallOp(callee, [], [KeyType.of(implementation)])).results[0], implementation)


def _types_of(result: Any) -> list[Attribute]:
    """The types of the SSA values of one result of a call."""
    if not isinstance(result, tuple):
        return [type_of(result)]
    leaf_set, dtypes = result
    return [TreeType.of(type_of(dtypes[k]), symbol) for k, symbol in leaf_set.groups.items()]


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
