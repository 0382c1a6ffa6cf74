"""Messages that can be read but make no sense, by what they are about, and good ones to compare."""

import itertools
from typing import Any

import msgspec
import numpy as np

from braggwatch.processing.beam import Beam
from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.data_quality import Forecast, Shell, Target
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding
from braggwatch.streamer.feed_messages import (
    Bins,
    Group,
    GroupBins,
    History,
    Latency,
    Ledger,
    Mark,
    Message,
    Queue,
    Rate,
    Rates,
    RecordState,
    Run,
    Status,
    Throughput,
    Worker,
)
from braggwatch.streamer.feed_messages import Notice as ToldNotice
from braggwatch.streamer.merge_messages import MergeMoment, Merging
from braggwatch.streamer.messages import PEAK, CrystalFound, Result, State
from braggwatch.streamer.picture_messages import Geometry, Peakogram, Powder, SettingsInForce, ShotImage

SHAPE = (64, 80)
BIG = 2**62
NAN, INFINITE = float("nan"), float("inf")


def status(n: int = 0, **fields: Any) -> Status:
    return Status(word="LIVE", since=1.0, time=2.0, totals=Ledger(counts={State.HIT: n}, total=n), **fields)


def geometry() -> Geometry:
    detector = Detector.single_panel(SHAPE, pixel_size=75e-6, distance=0.02, beam_center=(40, 32)).with_beam(Beam(12e3))
    return Geometry.of("run", 1, detector)


def shot(number: int, result: dict[str, Any] | None = None, **fields: Any) -> ShotImage:
    peaks = np.zeros(4, PEAK)
    peaks["fs"] = peaks["ss"] = 20.0
    peaks["inverse_d"] = 0.3
    found = Result(
        series="run", number=number, state=State.INDEXED, n_peaks=4, peaks=peaks.tobytes(), crystals=(CRYSTAL,)
    )
    good = ShotImage(
        kind="indexed", result=msgspec.structs.replace(found, **(result or {})), time=1000.0 + number, shape=SHAPE,
        dtype="uint16", encoding=Encoding("bslz4", "hdf5"), payload=bslz4_chunk(np.full(SHAPE, 7, np.uint16)),
    )  # fmt: skip
    return msgspec.structs.replace(good, **fields)


CRYSTAL = CrystalFound((79.0, 79.0, 38.0, 90.0, 90.0, 90.0), (79.0, 0, 0, 0, 79.0, 0, 0, 0, 38.0), 4, 0.4)


def bins(n: int = 3, **fields: Any) -> Bins:
    good = Bins(
        start=1000.0, width=1.0, counts={state: [1] * n for state in State}, multi_lattice=[0] * n, arrived=[3] * n,
        n_bytes=[9] * n, results=[3] * n, latency_sum=[0.1] * n, latency_max=[0.1] * n,
    )  # fmt: skip
    return msgspec.structs.replace(good, **fields)


def powder(**fields: Any) -> Powder:
    values = bslz4_chunk(np.ones((32, 40), np.float32))
    good = Powder(
        kind="hits", n_shots=3, of=3, binning=2, shape=(32, 40), sum=values, maximum=values,
        q=np.linspace(0.1, 3, 20, dtype=np.float32).tobytes(), profile=np.ones(20, np.float32).tobytes(),
    )  # fmt: skip
    return msgspec.structs.replace(good, **fields)


def peakogram(**fields: Any) -> Peakogram:
    good = Peakogram(
        shape=(4, 5), counts=np.ones(20, "<u4").tobytes(), inverse_d=(0.0, 0.6), log10_max_value=(0.0, 5.0),
        n_peaks=20, n_shots=5,
    )  # fmt: skip
    return msgspec.structs.replace(good, **fields)


def shell(**fields: Any) -> Shell:
    good: dict[str, Any] = {
        "d_max": 3.0, "d_min": 2.0, "n_possible": 90, "n_unique": 80, "n_observations": 400, "n_pairs": 70,
        "completeness": 0.9, "multiplicity": 5.0, "snr": 4.0, "cc_half": 0.8, "cc_half_error": 0.02, "cc_star": 0.94,
        "r_split": 0.2,
    }  # fmt: skip
    return Shell(**{**good, **fields})


def merging(**fields: Any) -> Merging:
    good = Merging(
        time=1e9, since=1e9, cell=CRYSTAL.cell, space_group="P 43 21 2", n_crystals=500, settings=("h,k,l",),
        in_setting=(500,), shells=(shell(d_max=9.0, d_min=3.0), shell()), overall=shell(d_max=9.0), resolution=2.1,
        target=Target(2.0), outer=shell(), whole=shell(d_max=9.0), forecast=Forecast("ahead", 60.0, 30.0, 90.0),
        moments=tuple(MergeMoment(1e9 + i, i, 0.5, 0.4, 0.3) for i in range(5)),
    )  # fmt: skip
    return msgspec.structs.replace(good, **fields)


def crystals(**fields: Any) -> dict[str, Any]:
    return {"crystals": (msgspec.structs.replace(CRYSTAL, **fields),)}


def odd_peaks() -> bytes:
    rows = np.zeros(3, PEAK)
    for name in ("fs", "ss", "intensity", "max_value", "inverse_d"):
        rows[name] = NAN, -INFINITE, 3e38
    rows["lattice"] = -5, 2**31 - 1, -(2**31)
    return rows.tobytes()


_WRONG_GEOMETRIES: tuple[dict[str, Any], ...] = (
    {"panels": ()}, {"shape": (-3, -4)}, {"shape": (0, 0)}, {"shape": (2**40, 2**40)}, {"shape": (65, 80)},
    {"mask": b"nonsense"}, {"mask": b""}, {"photon_energy": NAN}, {"photon_energy": -1.0}, {"photon_energy": 0.0},
    {"photon_energy": 1e300}, {"flag_values": (NAN, 1e300, -INFINITE)}, {"flag_below": NAN, "flag_above": NAN},
    *({"panels": (msgspec.structs.replace(geometry().panels[0], **panel),)} for panel in (
        {"fs_start": -4}, {"fs_stop": 2**40}, {"ss_start": 99}, {"corner": (NAN, 0.0, 0.0)}, {"max_adu": NAN},
        {"fs": (0.0, 0.0, 0.0)}, {"corner": (1e300, 1e300, 1e300)}, {"corner": (0.0, 0.0, 0.0)},
        {"corner": (0.0, 0.0, -0.02)}, {"name": "\x1b[31m\0\n" * 50}, {"fs": (0.0, 0.0, 75e-6)},
        {"fs": (1e-300, 0.0, 0.0)}, {"fs_stop": 1, "ss_stop": 1},
    )),
    {"panels": geometry().panels * 3},
)  # fmt: skip
GEOMETRIES = [msgspec.structs.replace(geometry(), **fields) for fields in _WRONG_GEOMETRIES]
_WRONG_SHOTS: tuple[dict[str, Any], ...] = (
    *({"shape": shape} for shape in ((-3, -4), (0, 0), (2**40, 2**40), (80, 64), (1, 1), (64, 79), (2**14, 2**14))),
    *({"dtype": dtype} for dtype in ("uint8", "float64", "complex64", "O", "nonsense", "", "uint16,uint16", "S5",
                                     "<u2, " * 2000, "V16")),
    *({"encoding": encoding} for encoding in (
        Encoding("none"), Encoding("lz4", "hdf5"), Encoding("bslz4", "dectris"), Encoding("nonsense", "nonsense"),
    )),
    {"payload": b"short"}, {"payload": b""}, {"payload": b"\xff" * 5000}, {"time": NAN}, {"time": 1e300},
    {"time": -1e300}, {"kind": "blank"},
    *({"result": fields} for fields in (
        {"peaks": b"odd"}, {"peaks": b""}, {"peaks": odd_peaks()}, {"n_peaks": -BIG}, {"number": BIG},
        {"number": -BIG}, {"resolution": NAN}, {"resolution": 0.0}, {"resolution": -1.0}, {"resolution": INFINITE},
        crystals(A=(0.0,) * 9), crystals(A=(1.0,) * 9), crystals(A=(NAN,) * 9), crystals(A=(1e300,) * 9),
        crystals(A=(1e-300,) * 9), crystals(A=(1e-3, 0, 0, 0, 1e-3, 0, 0, 0, 1e-3)),
        crystals(A=(1e5, 0, 0, 0, 1e5, 0, 0, 0, 1e5)), crystals(cell=(NAN,) * 6), crystals(cell=(0.0,) * 6),
        crystals(cell=(1.0, 1.0, 1.0, 10.0, 10.0, 170.0)), crystals(n_indexed=-BIG, rmsd_px=NAN),
        {"crystals": ()}, {"crystals": (CRYSTAL,) * 300}, {"state": State.BLANK}, {"state": State.FAILED},
        {"series": "\x1b[2J\0\n\u202e" * 40}, {"error": "\x07" * 10_000}, {"seconds": {"\n": NAN}},
        {"notices": {"\0": "\x1b" * 9000}},
    )),
)  # fmt: skip
SHOTS = [shot(number, **how) for number, how in enumerate(_WRONG_SHOTS)]
POWDERS = [
    powder(**fields)
    for fields in (
        {"sum": b"short"}, {"sum": b""}, {"maximum": b"\xff" * 99}, {"shape": (-1, -1)}, {"shape": (0, 0)},
        {"shape": (2**40, 2**40)}, {"shape": (31, 40)}, {"binning": 0}, {"binning": -2}, {"binning": BIG},
        {"q": b"odd"}, {"profile": b"odd"}, {"q": b""}, {"profile": np.ones(3, np.float32).tobytes()},
        {"q": np.full(20, NAN, np.float32).tobytes()}, {"profile": np.full(20, NAN, np.float32).tobytes()},
        {"q": np.full(20, -1, np.float32).tobytes()}, {"profile": np.full(20, INFINITE, np.float32).tobytes()},
        {"n_shots": 0}, {"n_shots": -BIG, "of": BIG}, {"kind": "spots"},
        {"sum": bslz4_chunk(np.full((32, 40), NAN, np.float32))},
        {"sum": bslz4_chunk(np.full((32, 40), INFINITE, np.float32))},
        {"sum": bslz4_chunk(np.full((32, 40), -3e38, np.float32))},
    )
]  # fmt: skip
PEAKOGRAMS = [
    peakogram(**fields)
    for fields in (
        {"counts": b"odd"}, {"counts": b""}, {"shape": (0, 0)}, {"shape": (-4, -5)}, {"shape": (2**40, 2**40)},
        {"shape": (5, 5)}, {"inverse_d": (NAN, NAN)}, {"inverse_d": (0.6, 0.0)}, {"inverse_d": (0.3, 0.3)},
        {"inverse_d": (-1e300, 1e300)}, {"log10_max_value": (NAN, 1.0)}, {"log10_max_value": (-1e300, 1e300)},
        {"log10_max_value": (5.0, 5.0)}, {"n_peaks": -BIG, "n_shots": -BIG}, {"counts": b"\xff" * 80},
        {"counts": bytes(80)},
    )
]  # fmt: skip
HISTORIES = [
    History(recent=strange, session=other)
    for strange, other in itertools.chain.from_iterable(
        ((strange, bins()), (bins(), strange))
        for strange in (
            bins(0), bins(1), bins(arrived=[1]), bins(multi_lattice=[]), bins(latency_max=[0.1] * 9), bins(counts={}),
            bins(counts={State.HIT: [1], State.BLANK: [1, 2, 3]}), bins(width=0.0), bins(width=-1.0), bins(width=NAN),
            bins(width=1e-300), bins(width=1e300), bins(start=NAN), bins(start=1e300), bins(start=-INFINITE),
            bins(arrived=[-BIG] * 3, results=[0] * 3, n_bytes=[BIG] * 3), bins(latency_sum=[NAN] * 3),
            bins(latency_max=[INFINITE, -1.0, 1e300]), bins(counts={state: [-5, BIG, 0] for state in State}),
        )
    )
]  # fmt: skip
STATUSES = [
    status(**fields)
    for fields in (
        {"run": Run(key="", number=-BIG, name="\0", detector="\x1b]0;x\x07" * 99, shape=(-1, BIG), photon_energy=NAN,
                    distance=-INFINITE, n_frames=-1, started=NAN, ended=1e300,
                    ledger=Ledger(counts={State.DROPPED: -BIG}, waiting=-1, working=BIG, total=-BIG, first=BIG))},
        {"run": Run(key="", number=1, photon_energy=0.0, distance=1e300, started=-1e300)},
        {"rates": Rates(hit=Rate(-5, 0, NAN, NAN), indexed=Rate(5, -1, -3.0, 9.0), indexed_of_hits=Rate(9, 3, 2.0, 1.0),
                        multi_lattice=Rate(BIG, 1), dropped=Rate(0, 0), missed=Rate(1, 2, INFINITE, -INFINITE))},
        {"throughput": Throughput(NAN, INFINITE, -1.0), "latency": Latency(-1, NAN, INFINITE, -1.0)},
        {"throughput": Throughput(1e300, -1e300, 0.0), "latency": Latency(BIG, 1e300, -1e300, 0.0)},
        {"window": NAN, "frame_age": NAN}, {"window": -1e300, "frame_age": 1e300}, {"frame_age": -INFINITE},
        {"queue": Queue(-1, -BIG, 0)}, {"queue": Queue(BIG, BIG, 1)}, {"queue": Queue(1, 1, -1)},
        {"workers": tuple(Worker(name="\n" * i, pid=-i, host="\x1b" * 99, state="\0", frames_per_s=NAN, busy=busy,
                                 restarts=-i) for i, busy in enumerate((NAN, -5.0, 1e300, None)))},
        {"workers": tuple(Worker(name=f"{i}", state="ready", busy=0.5, frames_per_s=1e300) for i in range(3000))},
        {"notices": (ToldNotice(kind="x", text="\x1b[2J\0\n" * 999, count=-BIG, last=NAN),
                     ToldNotice(kind="", text="", count=BIG, last=1e300))},
        {"record": RecordState(path="\0\n", frames=-1, pending=BIG, unrecorded=-BIG, problem="\x07" * 9999)},
        {"versions": {"\0": "\x1b"}, "settings_version": -BIG, "source": "\u202e\0" * 99, "experiment": "\n" * 9999},
        {"runs": -BIG},
    )
] + [msgspec.structs.replace(status(), since=when, time=when) for when in (NAN, INFINITE, -1e300, 1e300)]  # fmt: skip
SETTINGS = [
    SettingsInForce(version=version, time=when, text=text)
    for version, when, text in (
        (-BIG, NAN, "\0"), (1, 1e300, "[hitfind\n"), (2, -INFINITE, "[hitfind]\nmin_snr = 'high'\n"),
        (3, 0.0, "hitfind = 5\nindex = []\n"), (4, 0.0, "[index]\ncell = '0 0 0 0 0 0'\n"),
        (5, 0.0, "[hitfind]\nmin_snr = nan\nmin_pixels = -9223372036854775808\n"), (6, 0.0, "[" * 3000),
        (7, 0.0, "[chain]\nstages = ['nonsense', 5]\n"),
    )
]  # fmt: skip
HISTORIES.append(
    History(recent=bins(), session=bins(), marks=(
        Mark(NAN, "settings", "\x1b[31m\n" * 90), Mark(1e300, "run began", ""), Mark(-1e9, "run ended", ""),
    ))
)  # fmt: skip


def of_group(name: str = "dark", frames: int = 3, **columns: list[int]) -> GroupBins:
    good: dict[str, list[int]] = {"frames": [frames] * 3, "hits": [1] * 3, "indexed": [1] * 3}
    return GroupBins(name=name, **{**good, **columns})


_STRANGE_GROUPS: tuple[tuple[GroupBins, ...], ...] = (
    (of_group(frames=1), of_group("pumped", frames=2)), (of_group(hits=[1]),), (of_group(indexed=[]),),
    (of_group(frames=-BIG),), (of_group(frames=BIG),), (of_group(hits=[9] * 3, indexed=[99] * 3),),
    (of_group("x" * 100_000), of_group("\x1b[2J\0\n<b>&\u202e")), (of_group(), of_group()), (of_group(""),),
    tuple(of_group(f"delay {i}") for i in range(1000)), (of_group("no laser_1"), of_group("others")),
)  # fmt: skip
GROUPS: list[Message] = []
for _groups in _STRANGE_GROUPS:
    for _recent, _session in itertools.product((bins(), bins(groups=_groups)), repeat=2):
        GROUPS.append(History(recent=_recent, session=_session))
    GROUPS.append(status(groups=tuple(
        Group(name=group.name, frames=-BIG, hits=BIG, hit=rate, indexed_of_hits=rate) for group in _groups
        for rate in (Rate(3, 9, 0.1, 0.2),)
    ), window=0.5))  # fmt: skip
    GROUPS.append(status(groups=tuple(
        Group(name=group.name, frames=BIG, hit=Rate(-5, BIG, NAN, INFINITE)) for group in _groups
    ), window=NAN))  # fmt: skip
GROUPS += [shot(number, {"group": name}) for number, name in enumerate(("", "dark", "\x1b\0" * 99, "x" * 100_000))]
_ODD = (NAN, INFINITE, -INFINITE, -1.0, 0.0, 1e300, -1e300)
_NUMBERS = "completeness", "multiplicity", "snr", "cc_half", "cc_half_error", "cc_star", "r_split"
_WRONG_SHELLS = [
    *(shell(**dict.fromkeys(_NUMBERS, odd)) for odd in _ODD),
    *(shell(d_max=odd) for odd in _ODD), *(shell(d_min=odd) for odd in _ODD),
    *(shell(n_possible=n, n_unique=n, n_observations=n, n_pairs=n) for n in (-BIG, BIG)),
]  # fmt: skip
_WRONG_MERGINGS: tuple[dict[str, Any], ...] = (
    {"shells": tuple(_WRONG_SHELLS)}, {"shells": ()}, {"overall": None}, {"outer": None, "whole": None},
    *({"time": odd, "since": odd, "resolution": odd, "agreement": odd, "cell": (odd,) * 6} for odd in _ODD),
    {"n_crystals": -BIG}, {"n_crystals": BIG, "n_outliers": -1, "n_left_out": BIG, "n_foreign": -BIG},
    *({"target": Target(odd)} for odd in _ODD),
    *({"forecast": Forecast("ahead", odd, odd, odd, odd, "cc_half", odd)} for odd in _ODD),
    {"forecast": Forecast("ahead")}, {"forecast": Forecast("not at this rate", completeness_limit=NAN)},
    {"settings": ("\x1b[2J\n",) * 300, "in_setting": (BIG,) * 7}, {"settings": (), "in_setting": (1, 2)},
    {"space_group": "\0\x1b" * 99}, {"problem": "\x07\n" * 9999}, {"moments": ()},
    {"moments": tuple(MergeMoment(odd, n, odd, odd, odd) for odd in _ODD for n in (-BIG, 0, BIG))},
    {"moments": (MergeMoment(1e9, 1, None, None, None),) * 9000},
)  # fmt: skip
MERGINGS = [merging(outer=odd, whole=odd, overall=odd, shells=(shell(), odd)) for odd in _WRONG_SHELLS] + [
    merging(**fields) for fields in _WRONG_MERGINGS
]
Sight = tuple[str, tuple[str, ...]]
"""A layout, and panels to be brought to the front in it."""
KINDS: dict[str, tuple[list[Any], tuple[Sight, ...]]] = {
    "geometries": (GEOMETRIES, (("control room", ("image", "powder")), ("quality", ("residuals", "crystal")))),
    "shots": (SHOTS, (("tuning", ()), ("quality", ("crystal",)))),
    "powders": (POWDERS, (("quality", ("powder",)),)),
    "peakograms": (PEAKOGRAMS, (("quality", ("peakogram",)),)),
    "histories": (HISTORIES, (("control room", ("rates",)),)),
    "groups": (
        GROUPS,
        (("control room", ("rates", "headline")), ("control room", ("shots",)), ("quality", ("cells",))),
    ),
    "statuses": (STATUSES, (("control room", ("health",)), ("control room", ("ledger",)))),
    "mergings": (MERGINGS, (("quality", ("merging", "headline")), ("control room", ("merging",)))),
    "settings": (SETTINGS, (("tuning", ()), ("quality", ("merging",)))),
}
"""What is sent, and what is in sight while it comes."""
