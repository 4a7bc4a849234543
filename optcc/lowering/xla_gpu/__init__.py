"""StableHLO in the forms that suit XLA's GPU backend."""
