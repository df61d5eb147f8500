"""Short versions of the suites of scripts/torture.py: the promises of SECURITY.md, tried on purpose."""

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import hostile_models
import make_hostile
import random_configs
import torture


@pytest.fixture
def tally(tmp_path: Path) -> Iterator[Counter[str]]:
    """What was tried; nothing of it may have broken."""
    counts: Counter[str] = Counter()
    with torture.prepared(tmp_path):
        yield counts
    assert not [f"{name}: {counts[name]}" for name in torture.BROKEN if counts[name]], counts


@pytest.mark.long
@pytest.mark.parametrize("run", ["psi with particles", "pretrain"])
def test_a_run_killed_at_a_file_operation_goes_on_as_if_nothing_had_been(
    run: str, tally: Counter[str]
) -> None:
    torture.stops(run, 17, tally)
    assert tally["saves interrupted"] >= 4
    assert tally["runs resumed bit-identically"] >= 4
    assert tally["full disks"] >= 1


def test_a_limit_on_the_size_of_files_is_one_line_and_the_run_goes_on_without_it(tally: Counter[str]) -> None:
    torture.file_limit("g", tally)
    assert (tally["full disks"], tally["runs resumed bit-identically"]) == (1, 1)


@pytest.mark.long
def test_the_command_killed_from_outside_ends_as_if_it_had_not_been(tally: Counter[str]) -> None:
    """Ctrl-C once, which exits with 130 and says how to go on, then kill -9."""
    torture.kill9("q", 2, tally)
    assert tally["runs resumed bit-identically"] == 1


def test_of_commands_that_want_one_folder_at_one_moment_one_proceeds(tally: Counter[str]) -> None:
    torture.crowds(2, tally)
    assert tally["crowds"] == 6


def test_hostile_files_end_in_melodies_or_one_clear_line_in_time(tally: Counter[str]) -> None:
    torture.hostile(90, tally, seed=1)
    assert tally["hostile files tried"] == 90
    assert tally["hostile files with melodies"] > 9
    assert 0 < tally["most MB of a worker"] < 1024


def test_hostile_models_end_in_a_note_rnn_or_one_clear_line_in_time(tally: Counter[str]) -> None:
    torture.hostile(72, tally, 1, None, hostile_models.make, hostile_models.try_model)
    assert tally["hostile files tried"] == 72
    assert tally["hostile files with melodies"] > 3
    assert 0 < tally["most MB of a worker"] < 1024


def test_the_hostile_files_are_the_same_for_the_same_seed(tmp_path: Path) -> None:
    one, two = (make_hostile.make(tmp_path / name, 200) for name in "ab")
    assert [file.read_bytes() for file in one] == [file.read_bytes() for file in two]
    assert len({file.suffix for file in one}) == 5


def test_a_random_configuration_tunes_with_finite_numbers_or_names_its_field(
    tally: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random_configs, "UPDATES", 10)
    random_configs.numbers(10, tally)
    assert tally["configurations tuned"] >= 3
