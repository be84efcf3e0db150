"""Simulation: a virtual clock, a lossy network, devices with faults."""
