"""Proofs about the machines: their tables are mutated, and what they allow is explored. Not part of the package."""
