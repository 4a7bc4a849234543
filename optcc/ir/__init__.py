"""The front end: from a transformation's formula to a module of the `optim` dialect, and its interpreter."""
