"""The program's own package."""

from json.decoder import WHO, Thing

__all__ = ["WHO", "Thing"]
