"""Files of one image each: TIFF, CBF, npy, with what the older tools kept beside an image."""

from braggwatch.processing.single_images.files import SUFFIXES, SingleImageFiles

__all__ = ["SUFFIXES", "SingleImageFiles"]
