"""The only place that changes other people's modules."""
