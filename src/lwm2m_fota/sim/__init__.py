"""Simulation: a virtual clock and a faulty network, for whole fleets in one process and from one seed."""
