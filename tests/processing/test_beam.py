"""Photon energy and wavelength."""

import pytest

from braggwatch.processing.beam import Beam


def test_energy_and_wavelength_are_two_names_of_one_thing() -> None:
    assert Beam(12398.419843320026).wavelength == pytest.approx(1.0, rel=1e-15)
    assert Beam.from_wavelength(1.5).wavelength == pytest.approx(1.5)
    assert Beam(8047.8).wavelength == pytest.approx(1.5406, abs=1e-4)  # copper K alpha


@pytest.mark.parametrize("energy", [9.5, 2e6, float("nan"), -9500.0])
def test_an_energy_in_other_units_is_refused(energy: float) -> None:
    with pytest.raises(ValueError, match=r"photon energy must lie between 100 eV and 1 MeV, found .* eV"):
        Beam(energy)


@pytest.mark.parametrize("wavelength", [0.0, -1.0, float("nan")])
def test_an_impossible_wavelength_is_refused(wavelength: float) -> None:
    with pytest.raises(ValueError, match="wavelength must be positive, found"):
        Beam.from_wavelength(wavelength)


def test_an_impossible_bandwidth_is_refused() -> None:
    with pytest.raises(ValueError, match=r"bandwidth is a fraction between 0 and 1, found 2\.0"):
        Beam(9500.0, 2.0)
