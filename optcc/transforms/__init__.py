"""Gradient transformations, a family a file: each is its formula over a builder, and nothing else."""
