"""Sweeps as calls of kernels that optcc compiles itself."""
