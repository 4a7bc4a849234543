"""Functions of the IR as StableHLO that any backend of XLA takes."""
