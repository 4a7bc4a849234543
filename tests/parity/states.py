"""States of the two libraries beside each other."""

from __future__ import annotations

from typing import Any

import jax


def names(tree: Any) -> str:
    """The structure of a state, with the names of its classes and fields but not the modules they are from."""
    return str(jax.tree.structure(tree))


def same_structure(ours: Any, theirs: Any) -> None:
    # Optax 0.2.8 returns EmptyState for the trust ratio; optcc keeps the documented class (see the API manifest).
    assert names(ours).replace("ScaleByTrustRatioState", "EmptyState") == names(theirs)


def move(state: Any, like: Any) -> Any:
    """The arrays of one library's state in the other's classes."""
    return jax.tree.unflatten(jax.tree.structure(like), jax.tree.leaves(state))
