"""Clipping the gradients of single examples before they are summed."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from optcc.errors import message
from optcc.tree_utils.reductions import tree_norm


def per_example_global_norm_clip(grads: Any, l2_norm_clip: ArrayLike) -> tuple[Any, jax.Array]:
    """Scale the gradient of every example down to a norm, and sum over examples.

    Args:
      grads: pytree of arrays ``[batch, ...]``, one gradient for each example.
      l2_norm_clip: the largest norm that an example's gradient, over all leaves, may keep.

    Returns:
      The sum, a tree without the batch axis, and the number of examples whose gradient was scaled down.

    Raises:
      ValueError: the leaves have not all the same batch axis.

    Reference: Abadi et al., *Deep Learning with Differential Privacy*, 2016, algorithm 1.
    """
    _check_batch_axis("per_example_global_norm_clip", grads)
    norms = jax.vmap(tree_norm)(grads)
    is_clipped = norms > l2_norm_clip
    factors = jnp.where(is_clipped, l2_norm_clip / jnp.where(is_clipped, norms, 1), 1)

    def total(g: jax.Array) -> jax.Array:
        return jnp.tensordot(factors.astype(jnp.result_type(factors, g)), g, axes=1)

    return jax.tree.map(total, grads), jnp.sum(is_clipped)


def per_example_layer_norm_clip(grads: Any, global_l2_norm_clip: ArrayLike, uniform: bool = True) -> tuple[Any, Any]:
    """`per_example_global_norm_clip` of every leaf by itself, with a share of the norm.

    The squares of the shares sum to the square of the whole, so that the norm over all leaves keeps its bound.

    Args:
      grads: pytree of arrays ``[batch, ...]``, one gradient for each example.
      global_l2_norm_clip: the largest norm over all leaves.
      uniform: give all leaves the same share; otherwise the squares of the shares go by the number of elements.

    Returns:
      The sum over examples, a tree without the batch axis, and a tree of how many examples were scaled down in a leaf.

    Raises:
      ValueError: the leaves have not all the same batch axis.

    Reference: McMahan et al., *Learning Differentially Private Recurrent Language Models*, 2018, section 3.
    """
    _check_batch_axis("per_example_layer_norm_clip", grads)
    leaves, structure = jax.tree.flatten(grads)
    sizes = [1 if uniform else math.prod(leaf.shape[1:]) for leaf in leaves]
    clips = [jnp.asarray(global_l2_norm_clip) * math.sqrt(size / sum(sizes)) for size in sizes]
    results = [per_example_global_norm_clip(leaf, clip) for leaf, clip in zip(leaves, clips, strict=True)]
    sums, counts = zip(*results, strict=True) if results else ((), ())
    return jax.tree.unflatten(structure, sums), jax.tree.unflatten(structure, counts)


def _check_batch_axis(name: str, grads: Any) -> None:
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(grads)]
    if not all(shapes) or len({shape[0] for shape in shapes}) > 1:
        raise ValueError(
            message(
                f"{name}: Unlike other transforms, it expects gradients with one batch axis in front, got {shapes}",
                fix="make them with jax.vmap(jax.grad(loss), in_axes=(None, 0))",
            )
        )
