"""The beam's polarisation, against the textbook's formula and against a dipole's radiation."""

import numpy as np
import pytest

from braggwatch.processing.detector import Detector
from braggwatch.processing.integration import Integrator
from braggwatch.processing.polarisation import Polarisation
from braggwatch.processing.prediction import Predictions


def directions(n: int = 500) -> np.ndarray:
    return np.asarray(np.random.default_rng(1).normal(size=(n, 3)) * 3.0)


def test_it_is_that_of_dipoles_driven_by_the_two_fields() -> None:
    # a dipole p radiates along s with the field s x (s x p)
    s = directions()
    unit = s / np.linalg.norm(s, axis=1, keepdims=True)
    angle = np.radians(25.0)
    fields = [[np.cos(angle), np.sin(angle), 0.0], [-np.sin(angle), np.cos(angle), 0.0]]
    power = [np.sum(np.cross(unit, np.cross(unit, field)) ** 2, axis=1) for field in fields]
    np.testing.assert_allclose(Polarisation(0.9, 25.0).factor(s), 0.9 * power[0] + 0.1 * power[1], atol=1e-12)


def test_an_unpolarised_beam_has_the_textbooks_factor_in_every_plane() -> None:
    s = directions()
    cosine = s[:, 2] / np.linalg.norm(s, axis=1)
    for plane in (0.0, 45.0, -70.0):
        np.testing.assert_allclose(Polarisation(0.5, plane).factor(s), (1.0 + cosine**2) / 2.0, atol=1e-12)


def test_a_horizontal_field_weakens_what_is_scattered_to_the_side_and_not_what_goes_up() -> None:
    side, up, ahead = Polarisation(1.0).factor(np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 2.0]]))
    assert (side, up, ahead) == pytest.approx((0.5, 1.0, 1.0))


def test_intensities_and_sigmas_are_divided_by_it_and_backgrounds_are_not() -> None:
    detector = Detector.single_panel(
        (200, 200), pixel_size=1e-4, distance=0.01, beam_center=(100, 100), photon_energy=12_400.0
    )
    image = np.random.default_rng(2).poisson(20.0, (200, 200)).astype(np.uint16)
    places = Predictions(
        hkl=np.zeros((2, 3), np.int32), fs=np.array([180, 100], np.float32), ss=np.array([100, 180], np.float32),
        panel=np.zeros(2, np.int16), excitation_error=np.zeros(2, np.float32), partiality=np.ones(2, np.float32),
        inverse_d=np.ones(2, np.float32),
    )  # fmt: skip
    plain = Integrator(detector)(image, places)
    corrected = Integrator(detector, polarisation=Polarisation(1.0))(image, places)
    sine2 = 0.8**2 / (0.8**2 + 1.0)  # 8 mm to the side of the beam, 10 mm from the sample
    for name in ("intensity", "sigma"):
        ratio = getattr(plain, name) / getattr(corrected, name)
        np.testing.assert_allclose(ratio, [1.0 - sine2, 1.0], rtol=1e-5)
    np.testing.assert_array_equal(corrected.background, plain.background)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((1.1, 0.0), "the polarised fraction must lie between 0 and 1, found 1.1"),
        ((0.5, 400.0), "the plane of polarisation must lie between -360 and 360 degrees, found 400"),
        ((float("nan"), 0.0), "between 0 and 1, found nan"),
    ],
)
def test_values_that_make_no_sense_are_refused(values: tuple[float, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Polarisation(*values)
