"""The step as a graph in the JSON of Model Explorer (ai-edge-model-explorer), in which layers open and close."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from xdsl.dialects.builtin import NameLoc
from xdsl.ir import Block, Operation, SSAValue

from optcc.dialect import Combiner, argument_arrays

if TYPE_CHECKING:
    from optcc.runtime.optimizer import CompiledOptimizer


def model_explorer_json(compiled: CompiledOptimizer, label: str = "optcc") -> str:
    """The step after all passes: a node for each array and op; a sweep is a layer, and so is each of its maps.

    The top level is Model Explorer's graph collection: ``label`` and ``graphs``.
    """
    function = compiled.staged.program.step.op
    graph = _Graph()
    arrays = tuple(argument_arrays(function))
    for argument, array in zip(function.args, arrays, strict=True):
        name = str(array) if array is not None else argument.name_hint or "hyperparameter"
        graph.node(name, "arguments", (), (argument,), {"type": str(argument.type)})
    graph.node("results", "", graph.block(function.body.block, ""), (), {})
    return json.dumps({"label": label, "graphs": [{"id": "step", "nodes": graph.nodes}]})


class _Graph:
    """Nodes, and for each value the node and output that it comes from."""

    def __init__(self) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.sources: dict[SSAValue, tuple[str, str]] = {}
        self.layers = 0

    def node(
        self,
        label: str,
        namespace: str,
        operands: tuple[SSAValue, ...],
        results: tuple[SSAValue, ...],
        attributes: dict[str, str],
    ) -> None:
        """Add one, with an edge from the source of each operand."""
        name = str(len(self.nodes))
        edges = [
            {"sourceNodeId": node, "sourceNodeOutputId": output, "targetNodeInputId": str(i)}
            for i, (node, output) in enumerate(self.sources[value] for value in operands)
        ]
        shown = [{"key": key, "value": value} for key, value in attributes.items()]
        self.nodes.append({"id": name, "label": label, "namespace": namespace, "incomingEdges": edges, "attrs": shown})
        for i, result in enumerate(results):
            self.sources[result] = name, str(i)

    def block(self, block: Block, namespace: str) -> tuple[SSAValue, ...]:
        """Add the ops of a block but its terminator; what that takes."""
        *ops, end = block.ops
        for op in ops:
            if op.regions:
                self.layer(op, namespace)
                continue
            attributes = {"place": _place(op)} if _place(op) else {}
            attributes |= {key: str(value) for key, value in op.properties.items()}
            self.node(op.name, namespace, tuple(op.operands), tuple(op.results), attributes)
        return tuple(end.operands)

    def layer(self, op: Operation, namespace: str) -> None:
        """Add the body of a sweep or a map as a layer; folds are nodes of their own."""
        number, self.layers = self.layers, self.layers + 1
        inner = f"{namespace}/{op.name.removeprefix('optim.')} {number}".lstrip("/")
        body = op.regions[0].block
        for argument, operand in zip(body.args, op.operands, strict=True):
            self.sources[argument] = self.sources[operand]
        given = self.block(body, inner)
        kinds: Sequence[Combiner] = getattr(op, "kinds", (Combiner.NONE,) * len(given))
        for value, result, combiner in zip(given, op.results, kinds, strict=True):
            if combiner is Combiner.NONE:
                self.sources[result] = self.sources[value]
            else:
                self.node(f"fold by {combiner.value}", inner, (value,), (result,), {"type": str(result.type)})


def _place(op: Operation) -> str:
    """The transformation whose formula an op is of."""
    return op.location.desc.data if isinstance(op.location, NameLoc) else ""
