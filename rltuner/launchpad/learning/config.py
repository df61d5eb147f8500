"""The configuration of `rltuner launchpad train`, and its presets."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rltuner.checks import MOST_ROUNDS, MOST_THREADS, check, check_seed, tidy
from rltuner.errors import InputError
from rltuner.launchpad.choices import BarOptions, Cells, NetworkName, PresetName, RewardName, Start

MOST_REPLAY = 10_000_000
MOST_BOARDS = 65_536


@dataclass(frozen=True)
class TrainConfig:
    """Learn to play the launchpad: deep Q-learning on bars of real music."""

    network: NetworkName = "mlp"
    """linear, or mlp: 1,024 and 512 units with ReLU. Both are the seed's."""
    corpus: str = "chorales"
    """chorales, tunebooks, or a folder of MIDI and MusicXML files."""
    out: Path = Path("runs/launchpad")
    """Folder of the run; it must not exist."""
    preset: PresetName = "quick"
    """quick: minutes; seed: the seed's reward, exploration, learning rates and ratio, where it names them."""
    steps: int = 500_000
    """Presses in all, on all boards together."""
    reward: RewardName = "f1"
    """distance (the seed's), weighted, jaccard or f1."""
    draws: int = 0
    """K: bars drawn anew for each reward, of which the nearest counts; 0 compares with all."""
    cells: Cells = "onsets"
    """What a bar of music says of a step: onsets (a note begins), or sounding (it sounds; the seed's)."""
    transpose: bool = True
    """Move every piece to C major or A minor."""
    fold: bool = True
    """Move notes outside the board's by octaves; else they are left out."""
    start: Start = "sparse"
    """First state of an episode: random, sparse (some beats are on) or empty."""
    boards: int = 64
    """In lock-step."""
    episode: int = 128
    """Bars of an episode; the seed's has 1,000, of which most are spent where nothing is left to gain."""
    batch_size: int = 128
    """Steps that a gradient is of."""
    ratio: float = 8.0
    """Steps learned from for each step played; DQN's own is 8."""
    replay: int = 250_000
    """Steps kept to learn from; 10^6 is the seed's. One takes 54 bytes, and 680 with --every-press."""
    target_every: int = 1_000
    """Gradient steps between two copies to the target network. 1,000 is the seed's."""
    gamma: float = 0.5
    """Discount. .99 is the seed's."""
    epsilon: tuple[float, float] = (0.2, 0.01)
    """Share of random presses, first and last; it falls evenly over the first half of all steps."""
    learning_rate: tuple[float, float] = (0.001, 0.0001)
    """Adam's, first and last; it falls evenly over all steps."""
    clip: float = 10.0
    """Largest norm of a gradient. 10 is the seed's."""
    gains: bool = True
    """Learn from what a press gains; the best policy is the same. Else from rewards, as the seed does."""
    every_press: bool = True
    """Learn besides from the exact gain of every press in a state, not only of the one that was played."""
    guided: float = 0.3
    """Share of presses that are those of the largest gain, with --every-press."""
    double: bool = True
    """Double Q-learning: the network chooses the next action, the target network judges it."""
    dueling: bool = False
    """Value and advantages by outputs of their own."""
    beta: float | None = None
    """Explore by rewards in the place of epsilon: a random press is taken by chance min(1, exp(beta times its gain))."""
    evaluate_every: int = 25_000
    """Steps between two evaluations. 250,000 is the seed's."""
    seed: int = 0
    """Of everything."""
    threads: int = 2
    """CPU threads for torch."""
    resume: Path | None = None
    """Go on with the run in this folder, with its own configuration; only --threads may be changed."""

    def __post_init__(self) -> None:
        where = "launchpad train"
        tidy(self)
        check_seed(where, self.seed)
        for name, low, high in (
            ("steps", 1, MOST_ROUNDS),
            ("boards", 1, MOST_BOARDS),
            ("episode", 1, MOST_ROUNDS),
            ("batch_size", 1, 65_536),
            ("replay", 1, MOST_REPLAY),
            ("target_every", 1, MOST_ROUNDS),
            ("evaluate_every", 1, MOST_ROUNDS),
            ("draws", 0, 1_000_000),
            ("threads", 1, MOST_THREADS),
            ("ratio", 0, 1024),
            ("guided", 0, 1),
            ("gamma", 0, 0.9999),
            ("clip", 1e-6, 1e9),
        ):
            check(where, name, getattr(self, name), low, high)
        for name in ("epsilon", "learning_rate"):
            for value in getattr(self, name):
                check(where, name, value, 0, 1)
        if self.beta is not None:
            check(where, "beta", self.beta, 0, 1e6)
        if self.every_press and (self.draws or not self.gains):
            raise InputError(f"{where}: every_press needs gains, and draws = 0; give --no-every-press")
        if self.boards > self.replay:
            raise InputError(
                f"{where}: replay = {self.replay} must hold a step of each of {self.boards} boards"
            )

    @property
    def bars(self) -> BarOptions:
        """How bars of music are taken."""
        return BarOptions(cells=self.cells, transpose=self.transpose, fold=self.fold)


# The seed's schedules: of the linear network, of the other one.
SEED_EPSILON = {"linear": (0.1, 0.0001), "mlp": (0.2, 0.01)}
SEED_LEARNING_RATE = {"linear": (0.0025, 0.0005), "mlp": (0.00025, 0.00005)}


def preset(name: PresetName, network: NetworkName = "mlp") -> TrainConfig:
    """A configuration by name. The seed does not name K, its batch or its ratio: 32 drawn bars, and DQN's 32 and 8."""
    config = TrainConfig(network=network, preset=name)
    if name == "quick":
        return config
    return replace(
        config,
        reward="distance",
        draws=32,
        replay=1_000_000,
        cells="sounding",
        start="random",
        gamma=0.99,
        episode=1000,
        boards=4,
        batch_size=32,
        ratio=8.0,
        epsilon=SEED_EPSILON[network],
        learning_rate=SEED_LEARNING_RATE[network],
        gains=False,
        every_press=False,
        double=False,
        dueling=False,
        evaluate_every=250_000,
    )


def settings_of(config: TrainConfig) -> dict[str, Any]:
    """The configuration as JSON values, without where it is stored."""
    values = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(config).items()}
    return {name: value for name, value in values.items() if name not in ("out", "resume")}
