"""Measurements; never asserted as tests. docs/benchmarks.md has the figures."""
