"""Where the shapes of parameters come from."""

from __future__ import annotations

from typing import Any


def load_params(text: str) -> Any:
    """The parameters that a text describes."""
    import json

    import jax

    return jax.tree.map(lambda s: jax.ShapeDtypeStruct(tuple(s), "float32"), json.loads(text), is_leaf=lambda x: isinstance(x, list))
