"""The package formats, each behind the same interface."""
