"""What authors of transformations use: the builder, its values, and the definition that a formula becomes."""
