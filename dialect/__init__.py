"""The `optim` dialect: leaf sets, trees, and the ops of an optimizer's update. See SPEC.md."""

from xdsl.context import Context
from xdsl.dialects.arith import Arith
from xdsl.dialects.builtin import Builtin
from xdsl.dialects.complex import Complex
from xdsl.dialects.func import Func
from xdsl.dialects.math import Math
from xdsl.ir import Dialect

from optcc.dialect.attributes import Combiner as Combiner
from optcc.dialect.attributes import CombinerAttr as CombinerAttr
from optcc.dialect.attributes import Extent as Extent
from optcc.dialect.attributes import ExtentAttr as ExtentAttr
from optcc.dialect.attributes import Leaf as Leaf
from optcc.dialect.attributes import LeafTableAttr as LeafTableAttr
from optcc.dialect.attributes import Split as Split
from optcc.dialect.batches import Place as Place
from optcc.dialect.batches import PlacesAttr as PlacesAttr
from optcc.dialect.batches import StackOp as StackOp
from optcc.dialect.batches import UnstackOp as UnstackOp
from optcc.dialect.collectives import AllReduceOp as AllReduceOp
from optcc.dialect.collectives import Collective as Collective
from optcc.dialect.count import CountOp as CountOp
from optcc.dialect.leaves import LeavesOp as LeavesOp
from optcc.dialect.leaves import leaf_set as leaf_set
from optcc.dialect.leaves import leaf_tables as leaf_tables
from optcc.dialect.leaves import shapes_of as shapes_of
from optcc.dialect.leaves import tree_bytes as tree_bytes
from optcc.dialect.map import MapOp as MapOp
from optcc.dialect.map import YieldOp as YieldOp
from optcc.dialect.matrices import MatmulOp as MatmulOp
from optcc.dialect.matrices import Precision as Precision
from optcc.dialect.matrices import PrecisionAttr as PrecisionAttr
from optcc.dialect.queries import MapResult as MapResult
from optcc.dialect.queries import calls_in as calls_in
from optcc.dialect.queries import hypers_in as hypers_in
from optcc.dialect.queries import map_result as map_result
from optcc.dialect.queries import maps_in as maps_in
from optcc.dialect.queries import maps_reading as maps_reading
from optcc.dialect.queries import overwritten_by as overwritten_by
from optcc.dialect.queries import parts_made_of as parts_made_of
from optcc.dialect.queries import parts_of as parts_of
from optcc.dialect.queries import reductions_in as reductions_in
from optcc.dialect.queries import reductions_of as reductions_of
from optcc.dialect.queries import reshape_of as reshape_of
from optcc.dialect.queries import reshapes_in as reshapes_in
from optcc.dialect.queries import sweeps_of as sweeps_of
from optcc.dialect.queries import whole_of as whole_of
from optcc.dialect.queries import wholes_made_of as wholes_made_of
from optcc.dialect.random import Distribution as Distribution
from optcc.dialect.random import DistributionAttr as DistributionAttr
from optcc.dialect.random import KeyType as KeyType
from optcc.dialect.random import RandomOp as RandomOp
from optcc.dialect.random import SplitKeyOp as SplitKeyOp
from optcc.dialect.scalars import CallOp as CallOp
from optcc.dialect.scalars import HyperOp as HyperOp
from optcc.dialect.sharing import sharers as sharers
from optcc.dialect.signature import SLOT as SLOT
from optcc.dialect.signature import Array as Array
from optcc.dialect.signature import Role as Role
from optcc.dialect.signature import Slot as Slot
from optcc.dialect.signature import SlotAttr as SlotAttr
from optcc.dialect.signature import Storage as Storage
from optcc.dialect.signature import argument_arrays as argument_arrays
from optcc.dialect.signature import argument_slots as argument_slots
from optcc.dialect.signature import result_arrays as result_arrays
from optcc.dialect.signature import result_slots as result_slots
from optcc.dialect.signature import set_signature as set_signature
from optcc.dialect.signature import verify_signature as verify_signature
from optcc.dialect.sweep import SweepOp as SweepOp
from optcc.dialect.trees import JoinOp as JoinOp
from optcc.dialect.trees import PackOp as PackOp
from optcc.dialect.trees import ReduceOp as ReduceOp
from optcc.dialect.trees import ReshapeOp as ReshapeOp
from optcc.dialect.trees import SplitOp as SplitOp
from optcc.dialect.trees import UnpackOp as UnpackOp
from optcc.dialect.types import TreeType as TreeType
from optcc.dialect.types import element_bytes as element_bytes
from optcc.dialect.types import element_type as element_type
from optcc.dialect.types import is_coarser as is_coarser

Optim = Dialect(
    "optim",
    [
        LeavesOp,
        MapOp,
        YieldOp,
        ReduceOp,
        SplitOp,
        JoinOp,
        ReshapeOp,
        PackOp,
        UnpackOp,
        CountOp,
        AllReduceOp,
        SplitKeyOp,
        RandomOp,
        HyperOp,
        CallOp,
        SweepOp,
        StackOp,
        UnstackOp,
        MatmulOp,
    ],
    [TreeType, KeyType, LeafTableAttr, ExtentAttr, CombinerAttr, DistributionAttr, SlotAttr, PlacesAttr, PrecisionAttr],
)


def context() -> Context:
    """A context with every dialect that an optcc module uses."""
    ctx = Context()
    for dialect in (Builtin, Func, Arith, Math, Complex, Optim):
        ctx.load_dialect(dialect)
    return ctx
