"""Numbers that no machine can do are refused by name, and what only this one cannot do is one line too."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from rltuner.commands.main import main
from rltuner.errors import InputError
from rltuner.eval.config import EvaluateConfig
from rltuner.generating.config import GenerateConfig
from rltuner.pretraining.config import PretrainConfig
from rltuner.tuning import finetune as tuner
from rltuner.tuning.config import FinetuneConfig
from rltuner.tuning.stored_config import read_config


def run(*words: str) -> int:
    try:
        main(words)
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def whole_numbers() -> list[tuple[Any, str]]:
    """Every field of every command that is a whole number, but seeds, which have a limit of their own."""
    usual = (FinetuneConfig(), PretrainConfig(), GenerateConfig("psi"), EvaluateConfig(("psi",)))
    return [
        (config, field.name)
        for config in usual
        for field in dataclasses.fields(config)
        if type(getattr(config, field.name)) is int or field.name == "bars"
    ]


@pytest.mark.parametrize("value", [10**16, 2**63, 10**400])
@pytest.mark.parametrize(
    ("config", "name"), whole_numbers(), ids=lambda one: getattr(one, "__name__", str(one))[:24]
)
def test_a_huge_whole_number_is_refused_by_its_field(config: Any, name: str, value: int) -> None:
    with pytest.raises(InputError, match=f"{name} = {str(value)[:40]} must be in ") as caught:
        dataclasses.replace(config, **{name: value})
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("sizes", [(16_385,), (3,) * 17, (2**63,), (0,), ()])
def test_a_huge_network_is_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="give 1 to 16 layers of 1 to 16,384 units"):
        PretrainConfig(hidden_sizes=sizes)


@pytest.mark.parametrize("text", ["c = 1" + "0" * 400, "events = 1" + "0" * 400, "events = 1" + "0" * 5_000])
def test_a_number_of_many_digits_in_a_file_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(InputError, match=r"config\.toml"):
        read_config(tmp_path / "config.toml")


def no_such_memory(*_: object) -> None:
    torch.empty(2**50)


def storage_overflow(*_: object) -> None:
    torch.empty((2**40, 2**40))


def memory_error(*_: object) -> None:
    bytearray(2**62)


@pytest.mark.parametrize("failing", [no_such_memory, storage_overflow, memory_error])
def test_memory_that_is_not_there_is_one_line_with_the_fields_to_lower(
    failing: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tuner, "finetune", failing)
    assert run("finetune") == 2
    said = capsys.readouterr().err
    assert said.startswith("rltuner: there is not enough memory")
    assert "lower --batch-size, --length, --replay" in said
    assert said.count("\n") == 1


def test_a_defect_of_ours_is_no_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(tuner, "finetune", broken)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        run("finetune")
