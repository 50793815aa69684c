"""Benchmarks: ratios within one run, printed and written to bench.json."""
