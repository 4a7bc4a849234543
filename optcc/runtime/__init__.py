"""Compiling and running: stages, the JAX primitive, and `CompiledOptimizer`."""
