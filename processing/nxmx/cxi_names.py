"""The names that CXI files have for what is in an NXmx file, so that one file serves the readers of both."""

from functools import lru_cache

import h5py
import numpy as np

from braggwatch.processing.beam import Beam
from braggwatch.processing.compression import bslz4_chunk, bslz4_filter
from braggwatch.processing.detector import Detector
from braggwatch.processing.nxmx.geometry import DETECTOR
from braggwatch.processing.nxmx.groups import Column

CXI_VERSION = 160
J_PER_EV = 1.602176634e-19
DATA, MASK = "/entry_1/data_1/data", "/entry_1/instrument_1/detector_1/mask"
CXI_DETECTOR, CXI_SOURCE = "/entry_1/instrument_1/detector_1", "/entry_1/instrument_1/source_1"
NOT_VALID = np.uint32(1)
"""CXI's bit of a pixel that is not valid; NeXus has another meaning for it, so each layout has a mask of its own."""


class CxiNames:
    """Adds the names of CXI 1.6 and those that LCLS has for the photon energy; what is there already is linked."""

    def __init__(self, file: h5py.File, detector: Detector) -> None:
        """Add them to a file of `NXmxWriter` that has its images, spots and detector."""
        file["cxi_version"] = CXI_VERSION
        for name, place in {
            f"{CXI_DETECTOR}/data": "/entry/data/data",
            f"{CXI_DETECTOR}/description": f"{DETECTOR}/description",
            f"{CXI_DETECTOR}/distance": f"{DETECTOR}/distance",
            f"{CXI_DETECTOR}/x_pixel_size": f"{DETECTOR}/x_pixel_size",
            f"{CXI_DETECTOR}/y_pixel_size": f"{DETECTOR}/y_pixel_size",
            f"{CXI_SOURCE}/wavelength": "/entry/instrument/beam/incident_wavelength",
            "/entry_1/frame_number": "/entry/frames/number",
            "/entry_1/data_1/mask": MASK,
        }.items():
            file[name] = h5py.SoftLink(place)
        mask = file.create_dataset(MASK, detector.shape, np.uint32, chunks=detector.shape, **bslz4_filter())
        mask.id.write_direct_chunk((0, 0), packed_cxi_mask(detector))
        self._energy = Column(file[CXI_SOURCE], "energy", np.float64, units="J")
        self._energy_ev = Column(file.create_group("LCLS"), "photon_energy_eV", np.float64, units="eV")

    @property
    def columns(self) -> tuple[Column, ...]:
        """What grows with each image."""
        return self._energy, self._energy_ev

    def append(self, beam: Beam | None) -> None:
        """Add what belongs to an image."""
        energy = float("nan") if beam is None else beam.photon_energy
        self._energy.append(energy * J_PER_EV)
        self._energy_ev.append(energy)


@lru_cache(maxsize=2)
def packed_cxi_mask(detector: Detector) -> bytes:
    """Return the chunk of CXI's mask; kept, because packing it takes longer than the rest of a new file."""
    return bslz4_chunk(np.where(detector.mask, NOT_VALID, np.uint32(0)))
