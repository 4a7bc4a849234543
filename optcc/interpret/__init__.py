"""The reference interpreter in jax.numpy, and the init/update pairs that it runs."""
