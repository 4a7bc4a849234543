"""Traces a function into one flat list of equations: what `jit` and its like call is written out in place."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend import core as jex_core
from jax.extend.core import JaxprEqn

from optcc import base
from optcc.base import Params

CALLS = frozenset({"jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "checkpoint"})


@dataclass(frozen=True, eq=False, slots=True)
class Array:
    """A value of the jaxpr: its number, shape and dtype."""

    number: int
    shape: tuple[int, ...]
    dtype: np.dtype


@dataclass(frozen=True, eq=False, slots=True)
class Literal:
    """A constant whose elements are all one number; its sign and its NaN are those of `value`."""

    value: bool | int | float
    shape: tuple[int, ...]
    dtype: np.dtype


Atom = Array | Literal


@dataclass(frozen=True, eq=False, slots=True)
class Equation:
    """One application of a primitive that calls no other jaxpr, or none that is known."""

    primitive: str
    params: Mapping[str, Any]
    inputs: tuple[Atom, ...]
    outputs: tuple[Array, ...]
    bind: Callable[..., Sequence[Any]]
    """Applies it to arrays."""
    source_info: tuple[Any, ...]
    """That of the equation and of the calls around it, outermost first."""

    def __str__(self) -> str:
        shapes = ", ".join(f"{x.dtype}{list(x.shape)}" for x in self.inputs)
        source = self.source
        return f"{self.primitive}({shapes})" + (f" at {source}" if source else "")

    @property
    def source(self) -> str:
        """File and line of the innermost frame outside JAX; empty if it is not known."""
        for info in reversed(self.source_info):
            for frame in getattr(getattr(info, "traceback", None), "frames", ()):
                path = frame.file_name.replace("\\", "/")
                if "/jax/" not in path and "/optcc/importers/" not in path:
                    return f"{path.rpartition('/')[2]}:{frame.line_num}"
        return ""


@dataclass(eq=False)
class FlatJaxpr:
    """A function of pytrees as equations in order; `result` is the pytree of shapes that it returns.

    `effects` are what it does besides, such as printing, in words.
    """

    inputs: list[Array] = field(default_factory=list)
    equations: list[Equation] = field(default_factory=list)
    outputs: list[Atom] = field(default_factory=list)
    result: base.PyTree = None
    constants: dict[int, Any] = field(default_factory=dict)
    """Arrays that the function has from outside, by their number; those of one number throughout are literals."""
    effects: str = ""


def trace(function: Callable[..., base.PyTree], *arguments: base.PyTree) -> FlatJaxpr:
    """The equations of a function for arguments that are pytrees of shapes and dtypes."""
    closed, result = jax.make_jaxpr(function, return_shape=True)(*arguments)
    inliner = Inliner()
    flat = inliner.flat
    flat.result = result
    flat.effects = ", ".join(sorted(type(effect).__name__ for effect in closed.effects))
    flat.inputs = [inliner.new(v.aval) for v in closed.jaxpr.invars]
    flat.outputs = inliner.inline(closed.jaxpr, closed.consts, flat.inputs)
    return flat


class Inliner:
    """Writes out the equations of a jaxpr, and those of what it calls."""

    def __init__(self) -> None:
        self.flat = FlatJaxpr()
        self._numbers: Iterator[int] = itertools.count()
        self._around: tuple[Any, ...] = ()

    def new(self, aval: Any) -> Array:
        return Array(next(self._numbers), tuple(aval.shape), aval.dtype)

    def inline(self, jaxpr: Any, consts: Sequence[jax.Array], inputs: Sequence[Atom]) -> list[Atom]:
        """Append the equations of a jaxpr; its results."""
        env: dict[Any, Atom] = dict(zip(jaxpr.invars, inputs, strict=True))
        for var, const in zip(jaxpr.constvars, consts, strict=True):
            env[var] = self._constant(const, var.aval)

        def read(atom: Any) -> Atom:
            if isinstance(atom, jex_core.Literal):
                return self._constant(atom.val, atom.aval)
            return env[atom]

        for eqn in jaxpr.eqns:
            given = tuple(map(read, eqn.invars))
            results: Sequence[Atom]
            if eqn.primitive.name in CALLS:
                inner = eqn.params.get("jaxpr", eqn.params.get("call_jaxpr"))
                results = self._inside(eqn, getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), given)
            elif eqn.primitive.name == "cond":
                results = self._select(eqn, given)
            else:
                bind = partial(_bind, eqn)
                results = self._append(eqn.primitive.name, eqn.params, given, [v.aval for v in eqn.outvars], bind, eqn)
            env.update(zip(eqn.outvars, results, strict=True))
        return [read(v) for v in jaxpr.outvars]

    def _constant(self, value: Any, aval: Any) -> Atom:
        literal = _literal(value, aval)
        if literal is not None:
            return literal
        array = self.new(aval)
        self.flat.constants[array.number] = value
        return array

    def _append(
        self, name: str, params: Params, given: Sequence[Atom], avals: Sequence[Any], bind: Any, eqn: JaxprEqn
    ) -> list[Array]:
        results = [self.new(aval) for aval in avals]
        source = *self._around, eqn.source_info
        self.flat.equations.append(Equation(name, params, tuple(given), tuple(results), bind, source))
        return results

    def _inside(self, eqn: JaxprEqn, jaxpr: Any, consts: Sequence[jax.Array], given: Sequence[Atom]) -> list[Atom]:
        """What an equation calls, in its place."""
        before = self._around
        self._around = (*before, eqn.source_info)
        results = self.inline(jaxpr, consts, given)
        self._around = before
        return results

    def _select(self, eqn: JaxprEqn, given: Sequence[Atom]) -> list[Atom]:
        """All branches of a `cond`, and for each result the choice: a branch has no effects."""
        index, *operands = given
        branches = [self._inside(eqn, one.jaxpr, one.consts, operands) for one in eqn.params["branches"]]
        results = branches[0]
        for k, branch in enumerate(branches[1:], 1):
            taken = jax.ShapeDtypeStruct((), np.dtype(bool))
            (chosen,) = self._append("ge", {}, [index, Literal(k, (), index.dtype)], [taken], _ge, eqn)
            results = [
                old if old is new else self._append("select_n", {}, [chosen, old, new], [old], _select, eqn)[0]
                for old, new in zip(results, branch, strict=True)
            ]
        return results


def _bind(eqn: JaxprEqn, *arrays: Any) -> Sequence[Any]:
    with eqn.ctx.manager:
        results = eqn.primitive.bind(*arrays, **eqn.primitive.get_bind_params(eqn.params))
    return results if eqn.primitive.multiple_results else [results]


def _ge(x: Any, y: Any) -> Sequence[Any]:
    return [jax.lax.ge(x, y)]


def _select(which: Any, *cases: Any) -> Sequence[Any]:
    return [jax.lax.select_n(which, *cases)]


def _literal(value: Any, aval: Any) -> Literal | None:
    """A constant whose elements are one real number; a value of an outer trace, and any other array, is none."""
    dtype = aval.dtype
    real = dtype == np.bool_ or jnp.issubdtype(dtype, jnp.integer) or jnp.issubdtype(dtype, jnp.floating)
    if isinstance(value, Tracer) or not real:
        return None
    array = np.asarray(value).astype(dtype)
    first = array.reshape(-1)[:1]
    if array.size == 0 or (array.size > 1 and np.any(array.reshape(-1).view(np.uint8).reshape(array.size, -1)
                                                     != first.view(np.uint8))):  # fmt: skip
        return None
    return Literal(first.item(), tuple(aval.shape), dtype)
