"""Measurements against peers.

``python -m benchmarks`` measures and writes `results/contract.json`; ``python -m benchmarks.page`` turns the results
into docs/benchmarks.md.
"""
