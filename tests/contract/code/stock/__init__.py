"""A package with files of its own."""
