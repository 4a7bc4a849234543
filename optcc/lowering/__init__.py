"""Lowering of sweeps: to StableHLO, through the MLIR bindings inside jaxlib."""
