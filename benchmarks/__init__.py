"""What the proxy costs, measured; never part of the tests. `python -m benchmarks --help` says what there is."""
