"""Sizes of scalar types."""

from __future__ import annotations

from typing import cast

from xdsl.dialects.builtin import AnyFloat, ComplexType, IntegerType
from xdsl.ir import Attribute

from optcc.dialect.types import ComplexNumber


def element_bytes(type_: Attribute) -> int:
    """Bytes that one value of a scalar type takes in memory; an i1 takes one."""
    if isinstance(type_, ComplexType):
        return 2 * element_bytes(cast(ComplexNumber, type_).element_type)
    assert isinstance(type_, AnyFloat | IntegerType)
    return max(1, type_.bitwidth // 8)
