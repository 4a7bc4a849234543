"""Transformations of a user, for the tests of `module:function(...)`."""

from __future__ import annotations

from optcc.builder import Builder, GradientTransformation, Scalar, Tree, stateless


def scaled_sign(step: float) -> GradientTransformation:
    """``u = -step * sign(g)``."""

    def update(b: Builder, g: Tree, params: Tree | None, *, step: Scalar) -> Tree:
        return -step * b.sign(g)

    return stateless("scaled_sign", update, step=step)
