"""Conformance suites, strategies and fixtures for tests; no other room imports this one."""
