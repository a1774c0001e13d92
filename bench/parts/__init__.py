"""Pieces that benchmarks share; not benchmarks themselves."""
