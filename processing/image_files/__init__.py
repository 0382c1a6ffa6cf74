"""Images from files: HDF5 in the layouts of the field, and whatever fabio reads."""

from braggwatch.processing.image_files.error import ImageFileError
from braggwatch.processing.image_files.opening import ImageSeries, files_of_series, find_files, open_image_files

__all__ = ["ImageFileError", "ImageSeries", "files_of_series", "find_files", "open_image_files"]
