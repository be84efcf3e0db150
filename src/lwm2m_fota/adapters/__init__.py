"""Doors to CoAP stacks of others."""
