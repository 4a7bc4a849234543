"""Edits that several passes make: of maps, and of the slots of a signature."""
