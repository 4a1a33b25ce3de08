"""Gateware: what is on the chip. Importing this package does not import Amaranth."""
