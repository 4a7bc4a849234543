"""Maps as LLVM kernels: their text, and its compilation for the host. docs/native.md has the contract."""

from optcc.lowering.llvm.jit import Compiled as Compiled
from optcc.lowering.llvm.jit import compile_source as compile_source
from optcc.lowering.llvm.kernel import Kernel as Kernel
from optcc.lowering.llvm.kernel import Pattern as Pattern
from optcc.lowering.llvm.kernel import generate as generate
from optcc.lowering.llvm.scalar_ops import supported as supported
