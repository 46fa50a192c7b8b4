"""Set by the program before it imports the rest."""

UNIT = None
