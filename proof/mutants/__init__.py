"""Mutation of the machines' tables: every wrong row must make a test fail."""
