"""The package formats that are understood, each on its own; others are added through `FormatRegistry`."""
