"""Simulation: what should happen, and the machinery that runs the gateware. No torch, no Amaranth."""
