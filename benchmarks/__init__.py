"""Benchmarks of the proxy. The tests do not run them. `python -m benchmarks --help` lists them."""
