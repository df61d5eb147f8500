"""What the command line answers to words that a newcomer types, and how it shows its options."""

import dataclasses
from pathlib import Path

import pytest
from generated import refused, run

import rltuner
from rltuner.commands.main import _commands
from rltuner.errors import InputError
from rltuner.eval.config import EvaluateConfig
from rltuner.generating.config import GenerateConfig
from rltuner.pretraining.config import PretrainConfig
from rltuner.tuning.config import FinetuneConfig
from rltuner.tuning.presets import OTHER_NAMES


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"rltuner {rltuner.__version__}\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["generat"], "no command is called 'generat'; did you mean generate?; see: rltuner --help"),
        (["xyz", "--help"], "no command is called 'xyz'; use one of finetune, generate, "),
        (["info"], "info needs "),
        (["rules", "show"], "rules show needs NAME: a rule's name, "),
        (["rules", "show", "stepwise"], "For a rule of your own name its file, FILE.py"),
    ],
)
def test_a_word_that_is_wrong_or_missing(
    words: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert line in refused(capsys, *words)


@pytest.mark.parametrize("command", sorted({*_commands([])} - {"rules", "study", "launchpad", "listeners"}))
def test_help_has_an_example_that_parses_and_names_what_is_given(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import shlex

    from rltuner.commands.main import _parse

    monkeypatch.setenv("COLUMNS", "120")
    assert run(command, "--help") == 0
    shown = capsys.readouterr().out
    assert "{None}" not in shown
    assert " STR\n" not in shown  # the positional argument has a name
    (example,) = (line for line in shown.splitlines() if line.startswith("Example: rltuner "))
    words = shlex.split(example.removeprefix("Example: rltuner "))
    assert words[0] == command
    assert callable(_parse(words))


def test_options_that_may_be_left_out_are_parsed_as_what_they_are(tmp_path: Path) -> None:
    import tyro

    from rltuner.commands.options import REGISTRY, SETTINGS

    def parsed(*words: str) -> GenerateConfig:
        return tyro.cli(GenerateConfig, args=["psi", *words], config=SETTINGS, registry=REGISTRY)

    assert parsed() == GenerateConfig("psi")
    assert parsed("--bars", "3", "--key", "G major") == GenerateConfig("psi", bars=3, key="G major")
    assert parsed("--bars", "None").bars is None
    for config in (EvaluateConfig(()), FinetuneConfig(), PretrainConfig()):
        words = ["--json", "a.json"] if isinstance(config, EvaluateConfig) else ["--resume", "a"]
        found = tyro.cli(type(config), args=words, config=SETTINGS, registry=REGISTRY)
        assert dataclasses.replace(config, **{words[0][2:]: Path(words[1])}) == found


def test_an_unknown_field_of_a_preset_is_named_with_the_nearest() -> None:
    with pytest.raises(InputError, match="unknown field 'event'; did you mean 'events'"):
        rltuner.preset("quick", event=3)
    with pytest.raises(InputError, match="unknown field 'zzz'; remove it"):
        rltuner.preset("best", zzz=3)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"lr": 1e-3}, "unknown field 'lr'; did you mean 'learning_rate'?"),
        ({"total_timesteps": 10}, "did you mean 'events'?"),
        ({"algo": "ppo"}, "finetune: algo = 'ppo' must be one of q, psi, g"),
    ],
)
def test_a_preset_answers_to_the_words_of_other_tools_at_once(fields: dict[str, object], said: str) -> None:
    with pytest.raises(InputError) as refused_:
        rltuner.preset("quick", **fields)
    assert said in str(refused_.value)


def test_every_other_name_is_of_a_field_and_none_of_ours() -> None:
    names = {field.name for field in dataclasses.fields(FinetuneConfig)}
    assert {*OTHER_NAMES.values()} <= names
    assert not names & {*OTHER_NAMES}
