"""Benchmarks: ``python -m bench engines``."""
