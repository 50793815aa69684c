"""Forty ways to break the product, on real processes, and an oracle that trusts only the emulator.

python -m tests.faults runs them all; docs/reliability.md holds the figures.
"""
