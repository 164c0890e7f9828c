"""What is raised for files that are sound and yet not turned."""

from __future__ import annotations

from ..errors import ImageError


class Refused(ImageError):
    """A file of a kind that is not turned, or that could not be written as it was; says why and what to do."""
