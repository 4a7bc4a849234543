"""What several passes ask of a module: levels, slots, sizes."""
