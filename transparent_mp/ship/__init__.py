"""What the client serves to workers: events, modules, output."""
