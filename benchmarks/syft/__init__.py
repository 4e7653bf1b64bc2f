"""Encrypted training measured, beside its rivals: `python -m benchmarks.syft`."""
