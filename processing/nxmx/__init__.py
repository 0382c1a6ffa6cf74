"""NXmx files that are readable while they grow and after their writer was killed."""

from braggwatch.processing.nxmx.cxi_names import packed_cxi_mask
from braggwatch.processing.nxmx.file_names import (
    group_in_file_name,
    is_dump_name,
    order_written,
    repair_abandoned,
    safe_file_name,
    unique_name,
)
from braggwatch.processing.nxmx.geometry import packed_mask
from braggwatch.processing.nxmx.peak_rows import MAX_PEAKS
from braggwatch.processing.nxmx.writer import NXmxWriter

__all__ = [
    "MAX_PEAKS",
    "NXmxWriter",
    "group_in_file_name",
    "is_dump_name",
    "order_written",
    "packed_cxi_mask",
    "packed_mask",
    "repair_abandoned",
    "safe_file_name",
    "unique_name",
]
