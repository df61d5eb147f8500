"""Settings of finetune: ranges, presets, and files that hold them."""

import dataclasses
import shlex
from pathlib import Path

import pytest
import tyro

from rltuner.commands.finetune import defaults as finetune_defaults
from rltuner.errors import InputError
from rltuner.tuning.config import FinetuneConfig
from rltuner.tuning.presets import preset
from rltuner.tuning.stored_config import read_config, write_config
from rltuner.tuning.texts import command_text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("c", 0.0),
        ("gamma", 1.5),
        ("trace", -0.1),
        ("events", 0),
        ("length", 0),
        ("temperature", 0.0),
        ("c", float("nan")),
        ("clip", float("inf")),
    ],
)
def test_a_value_out_of_range_is_named(field: str, value: float) -> None:
    with pytest.raises(InputError, match=f"finetune: {field} = "):
        FinetuneConfig(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["quick", "best", "paper"])
def test_a_stored_configuration_is_read_back(name: str, tmp_path: Path) -> None:
    config = preset(name, algo="g", seed=11, note_rnn='odd "name" ♪')  # type: ignore[arg-type]
    (tmp_path / "config.toml").write_text(write_config(config), encoding="utf-8")
    assert read_config(tmp_path / "config.toml") == config


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("gama = 0.5", "unknown field 'gama'; did you mean 'gamma'"),
        ("gamma = 'high'", "gamma = 'high' must be of type float"),
        ("events = 1.5", "events = 1.5 must be of type int"),
        ("algo = 'sarsa'", "algo = 'sarsa' must be one of q, psi, g"),
        ("gamma = ", "not a TOML file"),
        ("c = -1", "c = -1.0 must be a finite number, at least"),
    ],
)
def test_a_wrong_configuration_file_is_named(text: str, named: str, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(text)
    with pytest.raises(InputError, match=r"run\.toml") as caught:
        read_config(tmp_path / "run.toml")
    assert named in str(caught.value)


def test_the_paper_preset_has_the_papers_values() -> None:
    config = finetune_defaults(["--algo", "q", "--preset", "paper"])
    assert (config.c, config.gamma, config.target_rate, config.events) == (0.5, 0.5, 0.01, 1_000_000)
    assert (config.trace, config.epsilon, config.epsilon_end, config.greedy) == (0.0, 1.0, 0.1, True)


def test_q_looks_less_far_ahead_unless_told_otherwise() -> None:
    for name in ("quick", "best"):
        q, g = (finetune_defaults(["--algo", algo, "--preset", name]) for algo in ("q", "g"))
        assert q.gamma < g.gamma == preset(name).gamma
    assert preset("best", algo="q", gamma=1.0).gamma == 1.0


def test_g_has_a_c_of_its_own_in_best_unless_told_otherwise() -> None:
    assert preset("best", algo="g").c < preset("best", algo="psi").c
    assert preset("best", algo="g", c=1.5).c == 1.5
    changed = {"c", "smc_later", "repeated", "algo"}
    psi, g = (dataclasses.asdict(preset("best", algo=algo)) for algo in ("psi", "g"))
    assert {name for name in psi if psi[name] != g[name]} == changed


def test_the_card_gives_the_command_that_makes_the_policy_again() -> None:
    config = dataclasses.replace(
        preset("best", algo="g", c=1.5, as_earned=False), seed=3, rules="my book.toml"
    )
    words = shlex.split(command_text(config))
    made = tyro.cli(FinetuneConfig, args=words, default=finetune_defaults(["finetune", *words]))
    assert made == config


def test_quick_learns_as_often_from_each_event_as_the_reference() -> None:
    """Its 32 transitions every 5 events: 6.4 learned for each composed one."""
    for name in ("quick", "paper"):
        config = preset(name)
        assert config.passes * (1 + config.replayed) == pytest.approx(32 / 5)


@pytest.mark.parametrize("name", ["quick", "best", "tune"])
def test_another_length_brings_events_discount_and_bound_along(name: str) -> None:
    """Twice as long: as many rounds, the same discount of a melody's end, as strict a bound an event."""
    own = preset(name)  # type: ignore[arg-type]
    longer = preset(name, length=2 * own.length)  # type: ignore[arg-type]
    assert longer.bars == 0
    assert longer.events == 2 * own.events
    assert longer.gamma**2 == pytest.approx(own.gamma)
    assert longer.likeliest == pytest.approx(max(1e-30, own.likeliest**2))
    kept = preset(name, length=2 * own.length, events=640, gamma=0.5)  # type: ignore[arg-type]
    assert (kept.events, kept.gamma) == (640, 0.5)


def test_bars_are_those_of_the_metre() -> None:
    assert preset("tune", meter="6/8").length == 96
    assert preset("quick", bars=4).length == 64
    assert finetune_defaults(["--preset", "tune", "--bars", "16"]).events == 2 * preset("tune").events
    with pytest.raises(InputError, match="--bars 8 and --length 128; give one of them"):
        finetune_defaults(["--bars", "8", "--length", "128"])
