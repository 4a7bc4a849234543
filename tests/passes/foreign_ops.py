"""Ops that optcc does not have, as a package of its own would bring them."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import AnyFloat, ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, BlockArgument, SSAValue
from xdsl.irdl import IRDLOperation, irdl_op_definition, operand_def, result_def, traits_def
from xdsl.passes import ModulePass
from xdsl.traits import Pure

from optcc.dialect import MapOp, Role, TreeType, argument_arrays
from optcc.dialect.interfaces import Leafwise, Level, SplitsByPart, Traffic


class TreeOp(IRDLOperation):
    """From a tree to one of the same type."""

    operand = operand_def(TreeType)
    result = result_def(TreeType)

    def __init__(self, operand: SSAValue) -> None:
        super().__init__(operands=[operand], result_types=[operand.type])


@irdl_op_definition
class DoubleOp(TreeOp):
    """Twice every element."""

    name = "test.double"
    traits = traits_def(Pure(), Level(), SplitsByPart(), Leafwise(), Traffic())
    assembly_format = "$operand attr-dict `:` type($operand) `->` type($result)"


@irdl_op_definition
class ThriceOp(TreeOp):
    """Three times every element."""

    name = "test.thrice"
    traits = traits_def(Pure(), Level(), SplitsByPart(), Leafwise(), Traffic())
    assembly_format = "$operand attr-dict `:` type($operand) `->` type($result)"


@irdl_op_definition
class SilentOp(TreeOp):
    """It says nothing of itself."""

    name = "test.silent"
    traits = traits_def(Pure())
    assembly_format = "$operand attr-dict `:` type($operand) `->` type($result)"


@irdl_op_definition
class NovelOp(TreeOp):
    """It says what passes ask, but no rule for it is registered anywhere."""

    name = "test.novel"
    traits = traits_def(Pure(), Level(), SplitsByPart(), Leafwise(), Traffic())
    assembly_format = "$operand attr-dict `:` type($operand) `->` type($result)"


@irdl_op_definition
class CubeOp(IRDLOperation):
    """The third power of a scalar, in bodies of maps."""

    name = "test.cube"
    operand = operand_def(AnyFloat)
    result = result_def(AnyFloat)
    traits = traits_def(Pure())
    assembly_format = "$operand attr-dict `:` type($operand) `->` type($result)"

    def __init__(self, operand: SSAValue, type_: Attribute) -> None:
        super().__init__(operands=[operand], result_types=[type_])


def gradients(module: ModuleOp) -> list[BlockArgument]:
    """The arguments of functions that are gradients."""
    functions = [op for op in module.ops if isinstance(op, FuncOp)]
    pairs = [pair for f in functions for pair in zip(f.args, argument_arrays(f), strict=True)]
    return [argument for argument, array in pairs if array is not None and array.role is Role.UPDATES]


@dataclass(frozen=True)
class OnGradients(ModulePass):
    """Apply an op to the gradients, before all else."""

    name = "on-gradients"

    op: type[TreeOp]

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for argument in gradients(op):
            _insert_first(argument, self.op(argument))


@dataclass(frozen=True)
class CubeGradients(ModulePass):
    """Let maps of gradients read their cubes."""

    name = "cube-gradients"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for use in [use for argument in gradients(op) for use in argument.uses]:
            assert isinstance(use.operation, MapOp)
            argument = use.operation.block.args[use.index]
            _insert_first(argument, CubeOp(argument, argument.type))


def _insert_first(argument: BlockArgument, new: TreeOp | CubeOp) -> None:
    """Put an op on an argument in front of all that use the argument, which use its result instead."""
    argument.replace_uses_with_if(new.result, lambda use: use.operation is not new)
    first = argument.block.first_op
    assert first is not None
    argument.block.insert_op_before(new, first)
