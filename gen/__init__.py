"""Generator: from a trained network to memory images, gateware, builds and reports."""
