"""The cost model: sweeps and the bytes they move, beside the floor."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, BlockArgument, Operation, SSAValue

from optcc.dialect import TreeType, argument_arrays, element_bytes, tree_bytes
from optcc.dialect.interfaces import Barrier, PassOverMemory, Product, Regroups, Traffic, ask


@dataclass(frozen=True)
class SweepCost:
    """Bytes that one sweep reads and writes, the arrays it makes anew, and what it waits for."""

    read: int
    written: int
    fresh: tuple[str, ...]
    waits_for: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """Bytes moved."""
        return self.read + self.written


@dataclass(frozen=True)
class ProductCost:
    """The bytes that an op on matrices reads and writes, and its floating-point operations."""

    name: str
    read: int
    written: int
    flops: int


@dataclass(frozen=True)
class Cost:
    """The sweeps of a function, its floor (every array touched once), and the number of parameters.

    `barriers` are the opaque calls on arrays, whose own traffic is not known. `products` are the ops on matrices, which
    are no sweeps.
    """

    sweeps: tuple[SweepCost, ...]
    floor: int
    parameters: int
    barriers: tuple[str, ...]
    products: tuple[ProductCost, ...] = ()

    @property
    def bytes(self) -> int:
        """Bytes that all sweeps move."""
        return sum(sweep.bytes for sweep in self.sweeps)

    def per_parameter(self, count: int) -> float:
        """A number of bytes divided by the number of parameters."""
        return count / max(1, self.parameters)


def cost_of(function: FuncOp) -> Cost:
    """The cost of a function after `form-sweeps`.

    Raises VerifyException for an op on trees that does not declare the trait `Traffic`.
    """
    ops = list(function.body.block.ops)
    sweeps: list[SweepCost] = []
    barriers: list[str] = []
    products: list[ProductCost] = []
    for op in ops:
        match ask(op, Traffic):
            case Product() as traffic:
                moved = traffic.moved(op)
                products.append(ProductCost(op.name, moved.read, moved.written, traffic.flops(op)))
            case PassOverMemory() as traffic:
                moved = traffic.moved(op)
                sweeps.append(SweepCost(moved.read, moved.written, moved.fresh, _waits_for(op)))
            case Barrier() as barrier if _has_trees(op):
                barriers.append(barrier.label(op))
            case _:
                pass
    trees = [a for a in function.args if isinstance(a.type, TreeType) and a.type.has_elements]
    returned = next(op for op in ops if isinstance(op, ReturnOp)).arguments
    read = sum(tree_bytes(function, a.type) for a in trees if _is_computed_with(a))
    written = sum(tree_bytes(function, v.type) for v in returned if not isinstance(v, BlockArgument))
    names = {a: str(array) for a, array in zip(function.args, argument_arrays(function), strict=True)}
    # Gradients may have an axis of examples; parameters are not always there.
    counted = next((name for name in ("params", "params.fast") if name in {names[a] for a in trees}), "updates")
    parameters = sum(tree_bytes(function, a.type) // _width(a) for a in trees if names[a] == counted)
    return Cost(tuple(sweeps), read + written, parameters, tuple(barriers), tuple(products))


def _waits_for(op: Operation) -> tuple[str, ...]:
    """The reductions of earlier sweeps and the products that this one needs, in words."""
    found: dict[str, None] = {}
    seen: set[Operation] = set()
    work: list[SSAValue] = list(op.operands)
    while work:
        value = work.pop()
        owner = value.owner
        if not isinstance(owner, Operation):
            continue
        if owner.has_trait(Product):
            found["products of matrices"] = None
        elif owner.has_trait(PassOverMemory):
            if not (isinstance(value.type, TreeType) and value.type.has_elements):
                found[f"a reduction over {_scope(value.type)}"] = None
        elif owner not in seen:
            seen.add(owner)
            work += owner.operands
    return tuple(sorted(found))


def _scope(folded: Attribute) -> str:
    if not isinstance(folded, TreeType):
        return "the whole tree"
    return "each leaf" if folded.is_per_leaf else "axes of each leaf"


def _width(value: SSAValue) -> int:
    assert isinstance(value.type, TreeType)
    return element_bytes(value.type.element)


def _has_trees(op: Operation) -> bool:
    """Whether an op takes or gives arrays: a schedule that is called moves no bytes that count."""
    return any(isinstance(v.type, TreeType) for v in (*op.operands, *op.results))


def _is_computed_with(value: SSAValue) -> bool:
    """Whether anything but the return uses a value, itself or a part of it."""
    for use in value.uses:
        if use.operation.has_trait(Regroups):
            if any(_is_computed_with(r) for r in use.operation.results):
                return True
        elif not isinstance(use.operation, ReturnOp):
            return True
    return False
