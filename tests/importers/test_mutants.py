"""The check of an import: importers that are broken on purpose give no wrong program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import optax
import pytest
from xdsl.dialects.builtin import f32
from xdsl.utils.exceptions import VerifyException

import optcc
from optcc.formula.builder import Builder
from optcc.importers import emit, flat_jaxprs, lanes, primitives, terms
from tests.importers.chains import CHAINS, follow, gradients, opaque_parts
from tests.trees import ragged

Patch = Callable[[pytest.MonkeyPatch], None]


def replacing(owner: Any, name: str, make: Callable[[Any], Any]) -> Patch:
    """Replace a function by what `make` makes of it."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(owner, name, make(getattr(owner, name)))

    return patch


def swapped_inputs(old: Any) -> Any:
    """Take the first two trees for each other."""

    def part(self: Any, name: str, c: Any) -> Any:
        other = {"input 0": "input 1", "input 1": "input 0"}
        return old(self, other.get(name, name), c)

    return part


def merged_literals(old: Any) -> Any:
    """Take all numbers below one for the first of them."""
    seen: list[str] = []

    def term(self: Any, op: str, parameter: Any, operands: Any, dtype: Any, kept: Any) -> Any:
        if op == "literal" and dtype == jnp.float32 and 0 < abs(float(parameter)) < 1:
            seen.append(parameter)
            parameter = seen[0]
        return old(self, op, parameter, operands, dtype, kept)

    return term


def without(op: str) -> Callable[[Any], Any]:
    """Leave a primitive out."""

    def make(old: Any) -> Any:
        def emit_primitive(block: Any, name: str, parameter: Any, args: Any, dtype: Any) -> Any:
            return args[-1] if name == op else old(block, name, parameter, args, dtype)

        return emit_primitive

    return make


def instead(op: str, other: str) -> Callable[[Any], Any]:
    """Emit another primitive."""

    def make(old: Any) -> Any:
        def emit_primitive(block: Any, name: str, parameter: Any, args: Any, dtype: Any) -> Any:
            return old(block, other if name == op else name, parameter, args, dtype)

        return emit_primitive

    return make


def reversed_operands(op: str) -> Callable[[Any], Any]:
    def make(old: Any) -> Any:
        def emit_primitive(block: Any, name: str, parameter: Any, args: Any, dtype: Any) -> Any:
            return old(block, name, parameter, args[::-1] if name == op else args, dtype)

        return emit_primitive

    return make


def one_class(old: Any) -> Any:
    """Compute all leaves as the first."""

    def tree(self: Any, terms: Any, extent: Any) -> Any:
        first = next(iter(terms.values()))
        return old(self, dict.fromkeys(terms, first), extent)

    return tree


def rotated(old: Any) -> Any:
    """Give the leaves of a tree the terms of others."""

    def tree(self: Any, terms: Any, extent: Any) -> Any:
        values = list(terms.values())
        return old(self, dict(zip(terms, values[1:] + values[:1], strict=True)), extent)

    return tree


def first_branch(old: Any) -> Any:
    """Take the first branch of a `cond` always."""

    def select(self: Any, eqn: Any, given: Any) -> Any:
        branch = eqn.params["branches"][0]
        return self.inline(branch.jaxpr, branch.consts, given[1:])

    return select


def unrounded(old: Any) -> Any:
    """Leave roundings to narrow floats out."""

    def convert(block: Any, value: Any, dtype: Any) -> Any:
        return value if value.type == f32 and dtype == jnp.bfloat16 else old(block, value, dtype)

    return convert


def once_less(old: Any) -> Any:
    """Leave the last item of a fold out."""
    return lambda self, kind, items: old(self, kind, items[:-1] if len(items) > 2 else items)


def truncating(old: Any) -> Any:
    return lambda self, value, where: old(self, round(value, 2), where)


emitted = (emit, "emit_primitive")
MUTANTS: dict[str, tuple[str, Patch]] = {
    "drop a rounding": ("bfloat16 moment", replacing(primitives, "_convert", unrounded)),
    "drop every cast": ("bfloat16 moment", replacing(*emitted, without("convert_element_type"))),
    "swap lanes": ("adamw", replacing(emit.Emission, "_part", swapped_inputs)),
    "merge literals": ("adamw", replacing(terms.Terms, "__call__", merged_literals)),
    "round literals": ("adamw", replacing(Builder, "literal", truncating)),
    "reorder a fold": ("clip", replacing(terms.Chain, "items", lambda old: lambda self: old(self)[::-1])),
    "leave out of a fold": ("clip", replacing(lanes.Roller, "_fold", once_less)),
    "drop a square root": ("adamw", replacing(*emitted, without("sqrt"))),
    "add for subtract": ("adamw", replacing(*emitted, instead("sub", "add"))),
    "multiply for divide": ("adamw", replacing(*emitted, instead("div", "mul"))),
    "divide the other way": ("adamw", replacing(*emitted, reversed_operands("div"))),
    "raise the other way": ("adamw", replacing(*emitted, reversed_operands("pow"))),
    "at most for less": ("clip", replacing(*emitted, instead("lt", "le"))),
    "no sign": ("lion", replacing(*emitted, without("sign"))),
    "another power": ("adamw", replacing(lanes, "parameter_of", lambda old: lambda name, params: 3)),
    "maximum for sum": ("lamb", replacing(emit, "_COMBINERS", lambda old: dict(old, add=old["max"]))),
    "one class for all": ("masked decay", replacing(emit.Emission, "_tree", one_class)),
    "terms of others": ("masked decay", replacing(emit.Emission, "_tree", rotated)),
    "first branch": ("novograd", replacing(flat_jaxprs.Inliner, "_select", first_branch)),
    "decide one way": ("lamb", replacing(terms.Terms, "_given", lambda old: lambda s, t, c, side: old(s, t, c, 1))),
}
"""A chain that shows each, and the mutation."""


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_importer_is_caught(name: str, monkeypatch: pytest.MonkeyPatch):
    chain, patch = MUTANTS[name]
    tx, params = CHAINS[chain](optax), ragged(0, jnp.float32)
    assert not opaque_parts(optcc.compile(tx, params))
    patch(monkeypatch)
    try:
        parts = opaque_parts(optcc.compile(tx, params))
    except (AssertionError, KeyError, VerifyException):
        return  # no program at all
    if "update" not in parts:
        # What traces is no part of the check, so its mistakes are for the comparison with the original.
        with pytest.raises(AssertionError):
            follow(tx, params, gradients, steps=2)
        return
    assert parts["update"]
