"""NXmx files that are readable while they grow and after their writer was killed."""

from braggwatch.processing.nxmx.file_names import order_written, repair_abandoned, safe_file_name, unique_name
from braggwatch.processing.nxmx.geometry import packed_mask
from braggwatch.processing.nxmx.peak_rows import MAX_PEAKS
from braggwatch.processing.nxmx.writer import NXmxWriter

__all__ = [
    "MAX_PEAKS",
    "NXmxWriter",
    "order_written",
    "packed_mask",
    "repair_abandoned",
    "safe_file_name",
    "unique_name",
]
