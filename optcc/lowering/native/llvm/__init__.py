"""Maps as LLVM kernels: their text, and its compilation for the host. docs/native.md has the contract."""

from optcc.lowering.native.llvm.jit import Compiled as Compiled
from optcc.lowering.native.llvm.jit import compile_source as compile_source
from optcc.lowering.native.llvm.kernel import Kernel as Kernel
from optcc.lowering.native.llvm.kernel import generate as generate
from optcc.lowering.native.llvm.scalar_ops import supported as supported
from optcc.lowering.native.llvm.spec import IterationSpace as IterationSpace
from optcc.lowering.native.llvm.spec import stream_sizes as stream_sizes
