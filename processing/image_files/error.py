"""What is said of a file that cannot be read."""

MAX_IMAGE_BYTES = 1 << 30
"""Largest image that is read; anything larger is a damaged header."""


class ImageFileError(ValueError):
    """A file cannot be read: its name, what was expected and what was found."""
