"""Partition: another transformation for each group of leaves."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax

from optcc import base
from optcc.base import PyTree
from optcc.errors import did_you_mean, message
from optcc.formula.definition import Definition, as_pair, definition_of
from optcc.formula.hyper_names import child_labels
from optcc.functions_given import is_function
from optcc.pass_through import as_given
from optcc.transforms.masking import masked

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Tree

Labels = base.PyTree
"""A pytree of labels that is a prefix of the parameters."""


class PartitionState(NamedTuple):
    """The state of each transformation by its label, a `MaskedState` without arrays for the leaves of other labels."""

    inner_states: Mapping[Any, Any]


MultiTransformState = PartitionState
"""The older name."""


def partition(
    transforms: Mapping[Any, base.GradientTransformation],
    param_labels: Labels | Callable[[base.Params], Labels],
    *,
    mask_compatible_extra_args: bool = False,
) -> base.GradientTransformationExtraArgs:
    """Apply to each leaf the transformation of its label.

    ``param_labels`` is a pytree of keys of ``transforms`` with the structure of the parameters, or a prefix of it, or
    a function from the parameters (in ``update``, from the updates) to one; the function sees shapes and dtypes, not
    values. A transformation sees the leaves of its label only, so that its norms are over those. State:
    ``PartitionState(inner_states)``, a dict with a `MaskedState` for each label. ``mask_compatible_extra_args``
    masks the extra arguments that have the structure of the updates, too.

    Raises ValueError for a label without a transformation, TreeMismatchError where the labels are no prefix of the
    parameters.
    """
    children = {
        label: definition_of(
            masked(tx, _mask(param_labels, label), mask_compatible_extra_args=mask_compatible_extra_args)
        )
        for label, tx in transforms.items()
    }
    names = child_labels(list(children))

    def init(b: Builder, params: Tree) -> PartitionState:
        from optcc.importers.foreign import as_shapes

        _check(_labels(param_labels, as_given(as_shapes(b, params))), children, b.where_in_chain)
        states = {
            label: b.initialize(name, child, params)
            for name, (label, child) in zip(names, children.items(), strict=True)
        }
        return PartitionState(inner_states=states)

    def update(b: Builder, updates: Tree, state: PartitionState, params: Tree | None):
        inner_states: dict[Any, Any] = {}
        for name, (label, child) in zip(names, children.items(), strict=True):
            updates, inner_states[label] = b.apply(name, child, updates, state.inner_states[label], params)
        return updates, PartitionState(inner_states=inner_states)

    return as_pair(
        Definition("partition", init, update, children=tuple(children.values()), labels=names, passes_through=True)
    )


multi_transform = partition
"""The older name."""


def _labels(param_labels: PyTree, tree: base.PyTree) -> Labels:
    return param_labels(tree) if is_function(param_labels) else param_labels


def _mask(param_labels: PyTree, group: Hashable) -> Callable[[base.PyTree], base.PyTree]:
    return lambda tree: jax.tree.map(lambda label: label == group, _labels(param_labels, tree))


def _check(labels: Labels, known: Mapping[Any, Any], where: str) -> None:
    for path, label in jax.tree_util.tree_leaves_with_path(labels):
        if label not in known:
            raise ValueError(
                message(
                    f"no transformation has the label {label!r}",
                    f"{where}, leaf params{jax.tree_util.keystr(path)}",
                    did_you_mean(str(label), map(str, known)) or f"the labels are {', '.join(map(repr, known))}",
                )
            )
