"""Measurements of the library, side by side with others: `python -m benchmarks NAME`."""
