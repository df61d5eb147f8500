"""Runs whose pictures are not looked at: drawing them takes most of a small run's time."""

from pathlib import Path

import pytest

from rltuner.tuning import results

BLANK = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
    "3a7e9b550000000a49444154789c6360000000020001e221bc330000000049454e44ae426082"
)  # a PNG of one pixel


@pytest.fixture(autouse=True)
def blank_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of one pixel, but for tests that are marked `drawn`."""
    if "drawn" in request.keywords:
        return

    def plot_tuning(records: list[object], c: float, file: Path) -> None:
        if records:
            file.write_bytes(BLANK)

    monkeypatch.setattr(results, "plot_tuning", plot_tuning)
    monkeypatch.setattr(results, "plot_piano_rolls", lambda melodies, file, title: file.write_bytes(BLANK))
