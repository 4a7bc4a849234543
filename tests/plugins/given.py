"""What plug-ins are made of here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

PARAMS = {"w": jnp.linspace(-1.0, 1.0, 12).reshape(3, 4), "b": jnp.ones(3)}
GRADS = jax.tree.map(lambda x: 0.1 * x - 0.02, PARAMS)

PASS = """
from dataclasses import dataclass
from xdsl.passes import ModulePass

@dataclass(frozen=True)
class Nothing(ModulePass):
    \"\"\"Do nothing.\"\"\"
    name = "{name}"
    times: int = 1
    def apply(self, ctx, op):
        pass
"""
TRANSFORM = """
from optcc.builder import stateless

def half(factor: float = 0.5):
    \"\"\"Halve the updates.\"\"\"
    return stateless("half", lambda b, g, params, *, factor: factor * g, factor=factor)

def broken(x):
    return {}["key"]

def number():
    return 3

pair = half(0.25)
"""


Install = Callable[..., None]


def message_of(error: type[Exception], work: Callable[[], object]) -> str:
    with pytest.raises(error) as raised:
        work()
    return str(raised.value)


def same(a: Any, b: Any) -> bool:
    return all(jax.tree.leaves(jax.tree.map(lambda x, y: bool(np.array_equal(x, y)), a, b)))
