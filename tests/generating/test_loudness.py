"""Loudness: BS.1770's own reference, and pyloudnorm's figures."""

import numpy as np
import pyloudnorm
import pytest
from numpy.typing import NDArray

from rltuner.generating.loudness import loudness_meter

RATE = 44_100


def sine(hertz: float, seconds: float, peak: float = 1.0) -> NDArray[np.float32]:
    times = np.arange(round(seconds * RATE)) / RATE
    return (peak * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def test_a_full_scale_sine_of_997_hz_in_one_channel_is_3_01_lu_below_zero() -> None:
    """The reference of ITU-R BS.1770-4, annex 1; pyloudnorm's filters are within 0.05 LU of it at 44,100 a second."""
    assert loudness_meter(RATE)(sine(997, 5)) == pytest.approx(-3.01, abs=0.05)
    assert loudness_meter(RATE)(sine(997, 5, 0.1)) == pytest.approx(-23.01, abs=0.05)


def test_silence_and_what_is_too_short_to_measure_have_no_loudness() -> None:
    measure = loudness_meter(RATE)
    assert measure(np.zeros(RATE, np.float32)) == -np.inf
    assert measure(sine(997, 2, 10 ** (-68 / 20))) == -np.inf  # -71 LUFS: below the absolute gate
    assert measure(sine(997, 0.39)) == -np.inf
    assert measure(sine(997, 0.4)) == pytest.approx(-3.1, abs=0.1)


NOISE = np.random.default_rng(1).uniform(-1, 1, 6 * RATE).astype(np.float32)
SOUNDS = {
    "low": sine(41, 3),
    "high": sine(9_000, 3),
    "noise": NOISE[: 3 * RATE],
    # Rests are below the relative gate: counted, they would take away 3 LU.
    "notes and rests": np.concatenate([NOISE[:RATE], 0.001 * NOISE[: 2 * RATE], NOISE[:RATE]]),
    "loud and soft": np.concatenate([NOISE[: 2 * RATE], 0.4 * NOISE[: 3 * RATE]]),
    "dying away": NOISE * np.exp(-np.arange(len(NOISE)) / RATE).astype(np.float32),
    "barely above the gate": sine(997, 2, 10 ** (-66 / 20)),
}


@pytest.mark.parametrize("name", SOUNDS)
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_the_figure_is_pyloudnorms(name: str, rate: int) -> None:
    wanted = pyloudnorm.Meter(rate).integrated_loudness(SOUNDS[name])
    assert loudness_meter(rate)(SOUNDS[name]) == pytest.approx(wanted, abs=0.001)


def test_the_figure_is_pyloudnorms_whatever_the_length() -> None:
    """A last block that is not all there counts or does not: louder at the end, so that it matters."""
    sound = NOISE * np.linspace(0.01, 1, len(NOISE), dtype=np.float32) ** 4
    theirs, ours = pyloudnorm.Meter(RATE), loudness_meter(RATE)
    for samples in (17_640, 17_641, 19_000, 19_844, 19_846, 22_050, 60_000, 100_001, 262_143):
        wanted = theirs.integrated_loudness(sound[-samples:])
        assert ours(sound[-samples:]) == pytest.approx(wanted, abs=0.001), samples
