"""How a worker comes to exist."""
