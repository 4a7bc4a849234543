"""Sizes of scalar types."""

from __future__ import annotations

from xdsl.dialects.builtin import AnyFloat, IntegerType
from xdsl.ir import Attribute


def element_bytes(type_: Attribute) -> int:
    """Bytes that one value of a scalar type takes in memory; an i1 takes one."""
    assert isinstance(type_, AnyFloat | IntegerType)
    return max(1, type_.bitwidth // 8)
