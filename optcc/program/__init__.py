"""A module of the IR as a program: how it is built, what its arguments are, how they are stored."""
