"""Configurations in files: sections of the groups' names, the flat form of before, and what is refused in one line.

fixtures/flat_run was written by the last version whose config.toml had no sections:

    NoteRNN(hidden_sizes=(6,), seed=1).save("tiny")
    rltuner finetune --algo psi --note-rnn tiny --events 640 --length 8 --batch-size 8 --minibatch-size 8 --replay 16 \
        --value-units 3 --smc 4 --smc-systems 4 --smc-replay 8 --evaluate 0 --samples 1 --threads 1 --out run --c 0.7
"""

import dataclasses
import shutil
import tomllib
from pathlib import Path

import pytest

import rltuner
from rltuner.errors import InputError
from rltuner.storing.unfinished import go_on_command
from rltuner.tuning.config import FinetuneConfig, names_of
from rltuner.tuning.run_folder import RunFolder
from rltuner.tuning.stored_config import read_config, write_config

FLAT = Path(__file__).parents[1] / "fixtures" / "flat_run"
OURS = rltuner.preset(
    "quick",
    **{"note_rnn": "tiny", "events": 640, "length": 8, "batch_size": 8, "minibatch_size": 8, "replay": 16},
    **{
        "value_units": 3,
        "smc": 4,
        "smc_systems": 4,
        "smc_replay": 8,
        "evaluate": 0,
        "samples": 1,
        "threads": 1,
    },
    c=0.7,
    gamma=0.85,
    likeliest=1e-7,
)


@pytest.fixture
def flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the run folder, its Note RNN beside it."""
    shutil.copytree(FLAT, tmp_path / "flat")
    monkeypatch.chdir(tmp_path / "flat")
    return Path("run")


def test_every_field_is_in_one_group_and_has_its_flat_name() -> None:
    names = [name for group in FinetuneConfig.GROUPS.values() for name in names_of(group)]
    assert names == names_of(FinetuneConfig)
    assert len(names) == len({*names})
    assert len(names_of(FinetuneConfig.GROUPS["tuning"])) == 14  # what --help shows first


def test_a_configuration_is_stored_in_sections_and_read_back(tmp_path: Path) -> None:
    config = rltuner.preset("best", algo="g", c=0.3, seed=7, device="cpu", repeated=0.25)
    (tmp_path / "config.toml").write_text(write_config(config))
    assert read_config(tmp_path / "config.toml") == config
    table = tomllib.loads((tmp_path / "config.toml").read_text())
    assert list(table) == ["tuning", "learning", "exploration", "guards", "run"]
    assert (table["tuning"]["c"], table["exploration"]["repeated"], table["tuning"]["algo"]) == (
        0.3,
        0.25,
        "g",
    )


def test_a_flat_configuration_means_what_it_did(flat: Path) -> None:
    assert read_config(flat / "config.toml") == OURS


def test_fields_before_any_section_and_in_sections_go_together(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('algo = "q"\nsmc = 3\n[learning]\ntrace = 0.5\n')
    expected = rltuner.preset("quick", algo="q", smc=3, trace=0.5)
    assert read_config(tmp_path / "a.toml") == expected


def test_a_run_stored_flat_goes_on_and_is_stored_in_sections(flat: Path) -> None:
    known = RunFolder(flat).records()
    assert go_on_command(flat) == "rltuner finetune --resume run"
    assert rltuner.load(flat).compose(3, 8, seed=1).events.shape == (3, 8)
    rltuner.finetune(dataclasses.replace(read_config(flat / "config.toml"), resume=flat, events=1280))
    records = RunFolder(flat).records()
    assert records[: len(known)] == known
    assert records[-1]["updates"] == 20
    assert "[tuning]" in (flat / "config.toml").read_text()
    assert read_config(flat / "config.toml") == dataclasses.replace(OURS, events=1280)


@pytest.mark.parametrize("section_before", ["", "algo =", "gamma ="])
def test_the_way_to_go_on_names_the_rule_file(section_before: str, flat: Path) -> None:
    """In a file without sections, in its section, and before the sections of a file that has some."""
    text = (flat / "config.toml").read_text().replace('rules = "magenta"', 'rules = "mine.py"')
    assert "mine.py" in text
    if section_before:
        text = text.replace(section_before, f"[tuning]\n{section_before}", 1)
    (flat / "config.toml").write_text(text)
    assert go_on_command(flat) == "rltuner finetune --resume run --rules mine.py"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[learning]\nsmc = 3", "smc stands in [learning]; move it to [exploration]"),
        ("smc = 3\n[exploration]\nsmc = 4", "smc is given twice"),
        ("[learnin]\ntrace = 0.5", "unknown section 'learnin'; did you mean 'learning'?"),
        ("[learning]\ntrac = 0.5", "unknown field 'trac'; did you mean 'trace'?"),
        ("[tuning]\nresume = 'x'", "unknown field 'resume'; did you mean 'preset'?"),
        ("[learning]\ntrace = 'a'", "trace = 'a' must be of type float"),
        ("learning = 3", "learning is a section; write its fields below a line [learning]"),
        ("[learning]\nepsilon = 2", "finetune: epsilon = 2.0 must be in [0, 1]"),
    ],
)
def test_what_stands_in_the_wrong_place_is_named_with_its_own(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(InputError) as refused:
        read_config(tmp_path / "a.toml")
    assert str(refused.value).startswith(f"{tmp_path / 'a.toml'}: {said}")
