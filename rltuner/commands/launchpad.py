"""The command `rltuner launchpad`: play, train, explore, generate. Thin, as all commands are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

from rltuner.commands.options import Command, given
from rltuner.errors import InputError
from rltuner.interrupts import importing
from rltuner.launchpad.choices import NetworkName, PresetName
from rltuner.launchpad.config import ExploreConfig, GenerateConfig, PlayConfig
from rltuner.launchpad.learning.config import TrainConfig, preset


def play_command() -> Callable[..., Command]:
    """Open the launchpad in a browser."""
    default = PlayConfig()

    def play(config: PlayConfig = default) -> Command:
        """Open the launchpad in a browser; a policy plays along, one press a bar.

        Example: rltuner launchpad play --qpm 90
        """

        def run() -> None:
            check_installed("fastapi", "uvicorn", "websockets")
            with importing():
                from rltuner.launchpad.playing.play import play
            play(config)

        return run

    return play


def train_command(words: Sequence[str]) -> Callable[..., Command]:
    """Train; its defaults are chosen by --resume, --preset and --network."""
    default = _training_defaults(words)

    def train(config: TrainConfig = default) -> Command:
        """Learn to play the launchpad: deep Q-learning on bars of real music.

        Example: rltuner launchpad train --network linear --out runs/linear
        """

        def run() -> object:
            with importing():
                from rltuner.launchpad.learning.train import train
            return train(config)

        return run

    return train


def _training_defaults(words: Sequence[str]) -> TrainConfig:
    found = given(words, "--resume", "--preset", "--network")
    if "--resume" in found:
        with importing():
            from rltuner.launchpad.learning.train import stored_settings

        return stored_settings(Path(found["--resume"]))
    name, network = found.get("--preset", "quick"), found.get("--network", "mlp")
    if name not in get_args(PresetName) or network not in get_args(NetworkName):
        return TrainConfig()  # the parser names the wrong one
    return preset(name, network)  # type: ignore[arg-type]


def explore_command() -> Callable[..., Command]:
    """The tabular experiment."""
    default = ExploreConfig()

    def explore(config: ExploreConfig = default) -> Command:
        """Run the paper's tabular experiment, and draw its three figures.

        Example: rltuner launchpad explore --out runs/explore
        """

        def run() -> object:
            with importing():
                from rltuner.launchpad.exploring.figures import explore
            return explore(config.out, config.seed, config.repeats, config.sweeps)

        return run

    return explore


def generate_command() -> Callable[..., Command]:
    """A policy alone."""

    def generate(config: GenerateConfig) -> Command:
        """Let a policy play alone, and write what it played as MIDI.

        Example: rltuner launchpad generate mlp --bars 64 --out song.mid
        """

        def run() -> None:
            with importing():
                from rltuner.launchpad.generate import generate
            generate(
                config.policy,
                config.bars,
                config.out,
                config.qpm,
                start=config.start,
                epsilon=config.epsilon,
                seed=config.seed,
            )

        return run

    return generate


def check_installed(*packages: str) -> None:
    """InputError, with the command, where a package of the extra is missing."""
    from importlib.util import find_spec

    for package in packages:
        if find_spec(package) is None:
            raise InputError(
                f"launchpad needs {package}, which is not installed: pip install 'rltuner[launchpad]'"
            )


NAMES = ("play", "train", "explore", "generate")


def commands(words: Sequence[str]) -> dict[str, Callable[..., Command]]:
    """The commands by name; what some options default to depends on the words that follow."""
    return {
        "play": play_command(),
        "train": train_command(words[1:] if words[:1] == ["train"] else []),
        "explore": explore_command(),
        "generate": generate_command(),
    }
