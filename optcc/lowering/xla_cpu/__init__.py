"""The forms of StableHLO that XLA's CPU backend turns into loops without temporaries."""
