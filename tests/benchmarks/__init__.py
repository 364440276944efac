"""The benchmarks measure what they say they measure. Speed is no matter for tests."""
