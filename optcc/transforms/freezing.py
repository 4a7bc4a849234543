"""Freezing: no update for some leaves."""

from __future__ import annotations

import jax

from optcc import base
from optcc.transforms.guards import set_to_zero
from optcc.transforms.label_groups import partition
from optcc.transforms.masking import masked


def freeze(mask: bool | base.PyTree) -> base.GradientTransformationExtraArgs:
    """Replace the updates by zeros where the mask is True; the others pass through.

    ``mask`` is as for `masked`. State: ``MaskedState(EmptyState())``.
    """
    return masked(set_to_zero(), mask)


def selective_transform(
    optimizer: base.GradientTransformation, *, freeze_mask: bool | base.PyTree
) -> base.GradientTransformationExtraArgs:
    """Apply an optimizer where the mask is False, and replace the updates by zeros where it is True.

    ``freeze_mask`` is a bool or a pytree of bools that is a prefix of the parameters. The optimizer sees and keeps
    state for its leaves only. State: ``PartitionState`` with the labels ``"train"`` and ``"freeze"``.
    """
    labels = jax.tree.map(lambda frozen: "freeze" if frozen else "train", freeze_mask)
    return partition({"train": optimizer, "freeze": set_to_zero()}, labels)
