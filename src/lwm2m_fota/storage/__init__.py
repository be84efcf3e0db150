"""Stores: the interface in `base`, and one module for each real one.

Nothing is exported here: who holds the interface does not load an implementation.
"""
