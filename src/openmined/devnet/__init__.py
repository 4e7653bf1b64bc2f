"""A whole network on one machine, and the demo."""
