"""Seeded random chains, trees, gradients, modules, texts and files; see docs/fuzzing.md."""
