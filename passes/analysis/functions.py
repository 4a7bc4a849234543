"""What several passes look up: the functions of a module, what they return, and the bodies of maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl.utils.exceptions import PassFailedException

from optcc.dialect import Array, MapOp, argument_arrays, parts_made_of, parts_of, result_arrays, sweeps_of


def functions(module: ModuleOp) -> Iterator[FuncOp]:
    """The functions of a module that have a body."""
    for op in list(module.ops):
        if isinstance(op, FuncOp) and op.body.blocks:
            yield op


def return_of(function: FuncOp) -> ReturnOp:
    """The terminator of a function of one block."""
    last = function.body.block.last_op
    assert isinstance(last, ReturnOp)
    return last


def refuse_sweeps(function: FuncOp, name: str) -> None:
    """Raise PassFailedException where a function has sweeps, whose order and arguments a pass would not keep."""
    if sweeps_of(function):
        raise PassFailedException(f"@{function.sym_name.data} has sweeps: run {name} before form-sweeps")


def returned_arrays(function: FuncOp) -> dict[SSAValue, Array | None]:
    """The array that each value is returned as the new value of, as a whole or as a part of a join."""
    arrays: dict[SSAValue, Array | None] = {}
    for array, value in zip(result_arrays(function), return_of(function).arguments, strict=True):
        arrays.update(dict.fromkeys((value, *parts_of(value)), array))
    return arrays


def argument_parts(function: FuncOp) -> dict[tuple[Array | None, Attribute], SSAValue]:
    """The value of each array by the array and its type: the argument, and the parts that it is split into."""
    parts: dict[tuple[Array | None, Attribute], SSAValue] = {}
    for array, argument in zip(argument_arrays(function), function.args, strict=True):
        parts[array, argument.type] = argument
        parts.update({(array, part.type): part for part in parts_made_of(argument)})
    return parts


def body_ops(op: MapOp) -> list[Operation]:
    """The ops of a map's body without its terminator."""
    return list(op.block.ops)[:-1]


def slice_of(roots: Sequence[SSAValue], stop: Mapping[SSAValue, object], block: Block) -> list[Operation]:
    """The ops of `block` that `roots` depend on, in order, not looking behind the values in `stop`."""
    needed: set[Operation] = set()
    work = [v for v in roots if v not in stop]
    while work:
        owner = work.pop().owner
        if isinstance(owner, Operation) and owner not in needed:
            needed.add(owner)
            work += [v for v in owner.operands if v not in stop]
    return [op for op in block.ops if op in needed]
