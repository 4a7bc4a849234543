"""What an optimizer is made for, and the same for the extra arguments, gradients and meshes that arrays bring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from xdsl.passes import ModulePass

from optcc.base import Params, PyTree, Updates
from optcc.formula.definition import Definition
from optcc.program.arrays import shapes_of
from optcc.program.placement import Placement
from optcc.program.program import Program
from optcc.runtime.packed_trees import Packed
from optcc.targets import Target

V = TypeVar("V", bound="Variants")


class Variants:
    """A chain, the shapes and dtypes that it is compiled for, and the options; and the variants made of it so far."""

    def __init__(
        self,
        program: Program | Definition,
        params: Params,
        grads: Updates,
        passes: Sequence[ModulePass],
        *,
        backend: str,
        layout: str,
        extra: PyTree = None,
        target: Target | None = None,
        placement: Placement | None = None,
    ) -> None:
        self.source = program
        self.params = params
        self.grads = grads
        self.passes = tuple(passes)
        self.backend = backend
        self.asked_layout = layout
        self.extra = extra
        self.target = target
        self.placement = placement
        self._with_extra: dict[Any, Any] = {}
        self._with_grads: dict[Any, Any] = {}
        self._on: dict[Placement | None, Any] = {}

    def _other(self: V, **changes: Any) -> V:
        given: dict[str, Any] = {"params": self.params, "grads": self.grads, "layout": self.asked_layout}
        given |= {name: getattr(self, name) for name in ("backend", "target", "placement", "extra")}
        return type(self)(self.source, passes=self.passes, **(given | changes))

    def with_extra(self: V, extra: PyTree) -> V:
        """What is made for a step with extra arguments, a pytree of shapes and dtypes."""
        if extra == self.extra:
            return self
        key = jax.tree.structure(extra), tuple((x.shape, x.dtype) for x in jax.tree.leaves(extra))
        if key not in self._with_extra:
            self._with_extra[key] = self._other(extra=extra)
        return self._with_extra[key]

    def with_grads(self: V, grads: Updates, params: Params) -> V:
        """What is made for gradients of other dtypes than those compiled for; this itself, where more differs.

        Gradients and parameters may both be in other containers, as NNX gives them: there `init` gets variables, and
        `update` their arrays.
        """
        if isinstance(self.source, Program) or isinstance(grads, Packed):
            return self
        leaves, structure = jax.tree.flatten(shapes_of(grads))
        own, same = jax.tree.flatten(self.grads)
        moved = structure != same and jax.tree.structure(params) == structure and len(leaves) == len(own)
        fit = (structure == same or moved) and all(_widens(x, y) for x, y in zip(leaves, own, strict=True))
        key = structure, tuple(x.dtype for x in leaves)
        if not fit or key == (same, tuple(x.dtype for x in own)):
            return self
        if key not in self._with_grads:
            like = jax.tree.unflatten(structure, jax.tree.leaves(self.params)) if moved else self.params
            self._with_grads[key] = self._other(params=like, grads=jax.tree.unflatten(structure, leaves))
        return self._with_grads[key]

    def on(self: V, placement: Placement | None) -> V:
        """What is made for parameters on another mesh, or on none."""
        if placement == self.placement:
            return self
        if placement not in self._on:
            other = self._on[placement] = self._other(placement=placement)
            other._on[self.placement] = self
            # The program on whole arrays is the same.
            vars(other).update({k: v for k, v in vars(self).items() if k in ("program", "staged", "init_function")})
        return self._on[placement]


def _widens(got: PyTree, expected: PyTree) -> bool:
    """Whether a gradient may take another's place: of the same shape, and real or complex as that."""
    kinds = (jnp.floating, jnp.complexfloating)
    alike = any(jnp.issubdtype(got.dtype, kind) and jnp.issubdtype(expected.dtype, kind) for kind in kinds)
    return got.shape == expected.shape and alike
