"""A program that leaves all to what is typed behind it."""
