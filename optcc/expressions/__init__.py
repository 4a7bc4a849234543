"""Optimizer expressions such as `chain(clip_by_global_norm(1.0), adamw(3e-4))`: parsed, never evaluated as Python.

Allowed are calls to optcc's public transformations, optimizers, wrappers and schedules, by name or as `optcc.name` or
`optax.name`, with literals as arguments: numbers and arithmetic on them, strings, None, True, False, lists, tuples and
dicts of literals, and dtypes as `bfloat16` or `jnp.bfloat16`. `module:function(...)` calls a function of the user's in
the same way. Installed distributions add functions by entry points of the group `optcc.transforms`. Anything else is an
ExpressionError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optcc.errors import ExpressionError, message

if TYPE_CHECKING:
    from optcc.base import GradientTransformation


def parse_optimizer(text: str) -> GradientTransformation:
    """The gradient transformation that an expression describes.

    Raises ExpressionError, which says what is wrong, where, and what to do.
    """
    from optcc.expressions.parse import read_optimizer

    return read_optimizer(text)


def optax_optimizer(text: str) -> Any:
    """What Optax makes of an expression: the same calls, with the same arguments, of Optax's functions.

    Raises ExpressionError, also where Optax is not installed or has no function of a name.
    """
    from optcc.expressions.parse import read_optimizer

    try:
        import optax
    except ImportError:
        raise ExpressionError(message("Optax is not installed", "optax", "pip install optax")) from None
    return read_optimizer(text, optax)
