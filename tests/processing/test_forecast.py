"""Forecasts against what then happens, in simulation."""

import numpy as np
import pytest

from braggwatch.processing.data_quality import Target
from braggwatch.processing.forecast import Forecaster
from braggwatch.processing.merging import Merger
from braggwatch.processing.observation_rates import ObservationRates
from braggwatch.processing.progress import MOST_POINTS, Progress
from braggwatch.processing.reflections import Reflections
from braggwatch.processing.simulation.demo import LYSOZYME, demo_detector
from braggwatch.processing.simulation.partial_intensities import PartialIntensities

D_MIN = 2.8


class Jet:
    """Lysozyme crystals that come at a rate which wanders."""

    def __init__(self, seed: int, photons: float, rate: float) -> None:
        self.rng = np.random.default_rng(seed)
        self.simulator = PartialIntensities(demo_detector(), LYSOZYME, d_min=D_MIN, photons=photons, seed=seed)
        self.merger = Merger(LYSOZYME, d_min=D_MIN)
        self.rate, self.wander, self.n, self.second = rate, 0.0, 0, 0

    def run(self, forecaster: Forecaster, seconds: int, *, until_reached: bool = False) -> None:
        for _ in range(seconds):
            self.second += 1
            self.wander += -self.wander / 10.0 + 0.3 * np.sqrt(0.2) * self.rng.normal()
            for _ in range(self.rng.poisson(self.rate * np.exp(self.wander))):
                measured = self.simulator.measure(
                    self.simulator.excite(self.rng), self.rng, float(self.rng.lognormal(-0.12, 0.5))
                )
                self.merger.add(self.seen(measured), "jet", self.n)
                self.n += 1
            forecaster.note(float(self.second))
            if until_reached and forecaster.is_reached():
                return

    def seen(self, measured: Reflections) -> Reflections:
        return measured


class BlindJet(Jet):
    """What lies within a zone is never seen."""

    def seen(self, measured: Reflections) -> Reflections:
        return measured[np.abs(measured.hkl[:, 2]) > 1]


def test_true_times_lie_inside_the_interval_about_as_often_as_it_says() -> None:
    inside = []
    for seed in range(12):
        rng = np.random.default_rng(1000 + seed)
        jet = Jet(seed, float(rng.uniform(25.0, 60.0)), float(rng.uniform(6.0, 12.0)))
        forecaster = Forecaster(jet.merger, Target(D_MIN, float(rng.uniform(0.5, 0.75)), 0.95))
        jet.run(forecaster, 30)
        forecast, asked = forecaster.forecast(), jet.second
        if forecast.state == "reached":
            continue
        jet.run(forecaster, 2000, until_reached=True)
        took = jet.second - asked
        assert forecast.low is not None
        inside.append(forecast.low <= took <= (forecast.high or np.inf))
    assert len(inside) >= 10
    # of 12 with a probability of 0.8, 7 or fewer come in 7 % of cases
    assert sum(inside) >= 7


def test_a_blind_zone_is_named_as_what_holds_completeness_up() -> None:
    jet = BlindJet(1, 300.0, 10.0)
    forecaster = Forecaster(jet.merger, Target(D_MIN, None, 0.99))
    jet.run(forecaster, 60)
    forecast = forecaster.forecast()
    assert (forecast.state, forecast.held_up_by) == ("not at this rate", "completeness")
    possible = jet.merger.unit.hkl
    assert forecast.completeness_limit == pytest.approx(np.mean(np.abs(possible[:, 2]) > 1), abs=0.02)


def test_the_same_crystals_without_a_blind_zone_get_there() -> None:
    jet = Jet(1, 300.0, 10.0)
    forecaster = Forecaster(jet.merger, Target(D_MIN, 0.5, 0.99))
    jet.run(forecaster, 20)
    forecast = forecaster.forecast()
    assert forecast.state == "ahead" and forecast.held_up_by == "completeness"
    assert forecast.low is not None and forecast.seconds is not None and forecast.high is not None
    assert 0 < forecast.low < forecast.seconds < forecast.high
    assert forecast.crystals is not None and forecast.crystals > jet.merger.n_crystals
    jet.run(forecaster, 500, until_reached=True)
    assert forecaster.forecast().state == "reached"


def test_crystals_that_stopped_coming_reach_nothing() -> None:
    jet = Jet(2, 300.0, 10.0)
    jet.run(Forecaster(jet.merger, Target(D_MIN)), 6)
    forecaster = Forecaster(jet.merger, Target(D_MIN))
    for second in range(40):
        forecaster.note(float(second))
    assert forecaster.forecast().state == "not at this rate"


def test_nothing_is_said_before_there_is_something_to_say_it_from() -> None:
    merger = Merger(LYSOZYME, d_min=D_MIN)
    forecaster = Forecaster(merger, Target(D_MIN))
    assert forecaster.forecast().state == "unknown"
    for second in range(20):
        forecaster.note(float(second))
    assert forecaster.forecast().state == "unknown"


def test_multiplicity_grows_in_proportion() -> None:
    jet = Jet(3, 300.0, 10.0)
    jet.run(Forecaster(jet.merger, Target(D_MIN)), 30)
    multiplicity = jet.merger.statistics().overall.multiplicity
    completeness = jet.merger.statistics().overall.completeness
    assert multiplicity is not None and completeness is not None
    forecaster = Forecaster(jet.merger, Target(D_MIN, None, None, 4.0 * multiplicity))
    jet.run(forecaster, 30)
    forecast = forecaster.forecast()
    jet.run(forecaster, 500, until_reached=True)
    assert forecast.crystals == pytest.approx(jet.merger.n_crystals, rel=0.05)


def test_completeness_goes_on_as_foretold() -> None:
    rng = np.random.default_rng(6)
    n = 6000
    mates = rng.choice([4, 8, 16], n, p=[0.03, 0.12, 0.85])
    inverse_d = np.sort(rng.uniform(0.1, 0.5, n))
    rate = 0.1 * mates / inverse_d / 4.0 * rng.gamma(3.0, 1.0 / 3.0, n) * (rng.random(n) > 0.02)
    now = rng.poisson(rate)
    rates = ObservationRates(now, mates, inverse_d)
    factors = np.array([1.0, 2.0, 4.0, 8.0, 100.0])
    drawn = rates.completeness(factors, 300, rng)
    low, high = np.quantile(drawn, (0.02, 0.98), axis=0)
    assert (drawn[:, 0] == np.mean(now > 0)).all()
    for i, factor in enumerate(factors[1:], 1):
        then = np.mean((now > 0) | (rng.poisson(rate * (factor - 1.0)) > 0))
        assert low[i] - 0.003 <= then <= high[i] + 0.003
    assert rates.limit() == pytest.approx(0.98, abs=0.015)
    noise = rates.mean_noise(slice(0, n), np.array([1.0]))
    halves = rng.binomial(now, 0.5)
    both = (halves > 0) & (now - halves > 0)
    assert noise[0] == pytest.approx(np.mean(1.0 / halves[both]), rel=0.08)


def test_rates_that_wander_are_foretold_with_the_right_spread() -> None:
    inside = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        progress, wander, count, needed, took = Progress(), rng.normal(0.0, 0.4), 0, 0.0, 0
        for second in range(60):
            wander += -wander / 12.0 + 0.4 * np.sqrt(2.0 / 12.0) * rng.normal()
            count += rng.poisson(8.0 * np.exp(wander))
            progress.note(float(second), count)
        rate = progress.rate()
        assert rate is not None
        low, high = np.quantile(rate.times_to_grow(np.full(400, 1500.0), rng), (0.1, 0.9))
        while needed < 1500:
            wander += -wander / 12.0 + 0.4 * np.sqrt(2.0 / 12.0) * rng.normal()
            needed += rng.poisson(8.0 * np.exp(wander))
            took += 1
        inside.append(low <= took <= high)
    assert 0.7 <= np.mean(inside) <= 0.9


def test_a_steady_rate_is_known_to_a_few_per_cent_in_memory_that_does_not_grow() -> None:
    rng = np.random.default_rng(0)
    progress, count = Progress(), 0
    for second in range(5000):
        count += rng.poisson(5.0)
        progress.note(float(second), count)
    rate = progress.rate()
    assert rate is not None and rate.mean == pytest.approx(5.0, rel=0.03)
    assert float(rate.weight @ rate.error) < 0.03 * 5.0
    assert len(progress._points) < MOST_POINTS


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cc_half": 1.2}, "expected a target of CC1/2 between 0 and 1, found 1.2"),
        ({"completeness": 0.0}, "expected a target of completeness above 0 and at most 1, found 0.0"),
        ({"multiplicity": -1.0}, "expected a positive target of multiplicity, found -1.0"),
        ({"cc_half": None, "completeness": None}, "expected a target for CC1/2, completeness or multiplicity"),
    ],
)
def test_targets_that_make_no_sense_are_refused(options: dict[str, float | None], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Target(2.0, **options)
    with pytest.raises(ValueError, match="the merge's"):
        Forecaster(Merger(LYSOZYME, d_min=D_MIN), Target(1.5))
