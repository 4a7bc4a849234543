"""Which hyperparameters each leaf meets: the rate, the decay and all others that it gets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jax.core import Tracer
from xdsl.ir import BlockArgument, Operation, SSAValue

from optcc.dialect import HyperOp, Role, TreeType, leaf_set, sweeps_of
from optcc.program.program import Function
from optcc.report.report import Group


def groups_of(step: Function, values: Mapping[str, Any]) -> tuple[Group, ...]:
    """The leaf sets of the step's sweeps, with the hyperparameters that what is computed on them depends on.

    A number that only decides what another leaf set's fold gives, such as one behind a global norm, is not among them.
    """
    found: dict[str, set[str]] = {}
    leaves: dict[str, int] = {}
    for sweep in sweeps_of(step.op):
        for op in sweep.maps:
            outer = [sweep.operands[v.index] for v in op.operands if isinstance(v, BlockArgument)]
            name = op.leaves.root_reference.data
            leaves[name] = len(leaf_set(op, op.leaves))
            found.setdefault(name, set()).update(key for value in outer for key in _behind(value, step))

    def numbers(names: set[str]) -> dict[str, float]:
        known = {key: values[key] for key in sorted(names) if key in values}
        return {key: float(value) for key, value in known.items() if not isinstance(value, Tracer)}

    return tuple(Group(name, leaves[name], numbers(names)) for name, names in found.items())


def _behind(value: SSAValue, step: Function) -> Iterator[str]:
    """The names of the hyperparameters that a scalar is computed from."""
    computed = _on_the_host(step)
    seen: set[SSAValue] = set()
    work = [value]
    while work:
        value = work.pop()
        if value in seen or isinstance(value.type, TreeType):
            continue
        seen.add(value)
        owner = value.owner
        if isinstance(owner, Operation):
            if isinstance(owner, HyperOp):
                yield owner.key.data
            elif not owner.regions:
                work += owner.operands
        elif value in computed:
            work.append(computed[value])


def _on_the_host(step: Function) -> dict[SSAValue, SSAValue]:
    """For each argument that is a hyperparameter's the value that the host computes for it."""
    last = step.host.body.block.last_op if step.host is not None else None
    if last is None:
        return {}
    pairs = zip(step.op.args, step.signature.inputs, strict=True)
    return {argument: last.operands[b.places[0]] for argument, b in pairs if b.slot.role is Role.HYPER}
