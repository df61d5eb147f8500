"""The configuration of `rltuner finetune`: one frozen dataclass of five groups.

`FinetuneConfig` has every field of the groups by its own name: `config.gamma`, `preset("quick", gamma=0.9)`, `--gamma`.
In --help the groups are headings, in config.toml sections. Values are checked when an object is made.

Nothing heavy is imported here, so that `rltuner finetune --help` answers at once.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, get_args

from rltuner.checks import (
    DEFAULT_C,
    MOST_AT_ONCE,
    MOST_EVENTS,
    MOST_FILES,
    MOST_MELODIES,
    MOST_ROUNDS,
    MOST_THREADS,
    MOST_UNITS,
    check,
    check_seed,
    tidy,
)
from rltuner.errors import InputError

Algorithm = Literal["q", "psi", "g"]
PresetName = Literal["quick", "best", "paper", "tune"]


@dataclass(frozen=True)
class Tuning:
    """What is tuned, towards what, for how long: most runs need no more."""

    algo: Algorithm = "psi"
    """Q, Psi or G learning."""
    preset: PresetName = "quick"
    """Sets the defaults of all other options: quick (a minute or two on 2 cores), best (15; q 3), paper (9), tune (5:
    eight bars, by the gauldin book). In Python, rltuner.preset() applies it."""
    note_rnn: str = "note_rnn"
    """The Note RNN to start from: a shipped name or a checkpoint folder."""
    rules: str = "magenta"
    """Rule book: magenta, gauldin, a .toml file, or a Python rule file. A Python file is code, and is run."""
    out: Path | None = None
    """Run folder; it must not exist. Default: runs/ALGO-1, runs/ALGO-2, ..."""
    events: int = 1_250_000
    """Events composed in all, rounded up to whole rounds of `batch_size` melodies of `length` events. A preset's number
    grows with the length that is asked for."""
    length: int = 32
    """Events a melody."""
    bars: int = 0
    """The same in whole bars of the melodies' metre; 0: `length` counts."""
    meter: str = ""
    """Metre of the melodies, such as 6/8; empty: the book's, else 4/4."""
    c: float = DEFAULT_C
    """The rules' reward is divided by c: the lower, the more the rules count against the data. Paper: 0.5."""
    gamma: float = 0.85
    """Discount a step. With 1 the optimum is known: pi* = p exp(sum of r / c), but few melodies make it up."""
    seed: int = 0
    """Of every random choice."""
    config: Path | None = None
    """Take the defaults from this TOML file, such as a run folder's config.toml."""
    resume: Path | None = None
    """Continue the run in this folder, with the configuration stored there; --events and a few more can be changed."""


@dataclass(frozen=True)
class Learning:
    """How it learns: the backup, the batches, the gradient steps, and how it composes meanwhile."""

    as_earned: bool = True
    """Pay what a rule gives at the end as it is earned; the sum of a melody stays the same."""
    trace: float = 0.6
    """Lambda of the multi-step backup: 0 looks one step ahead (the paper), 1 to the end of the melody."""
    batch_size: int = 256
    """Melodies composed a round."""
    replay: int = 1024
    """Melodies kept for replay, the latest ones; 0 keeps none."""
    replayed: float = 0.6
    """Kept melodies that are learned from again, for each new one."""
    passes: int = 4
    """How often each round's melodies are learned from, towards the same targets."""
    minibatch_size: int = 256
    """Melodies a gradient step."""
    learning_rate: float = 6e-3
    """Adam's."""
    value_units: int = 32
    """Units of the value network's LSTM layer, which begins anew; 0: it begins as a copy of the Note RNN."""
    value_learning_rate: float = 3e-2
    """Adam's, for the value network."""
    target_rate: float = 0.05
    """Share of the policy network that goes into the target network each step (the paper's eta, 0.01)."""
    huber: float = 0.0
    """Nats beyond which a score's error counts linearly instead of by its square; 0: always by its square."""
    clip: float = 1.0
    """Largest norm of a gradient."""
    greedy: bool = False
    """While composing for learning take the highest score instead of sampling (the paper's epsilon-greedy)."""
    epsilon: float = 0.0
    """Share of events drawn uniformly while composing for learning, at the start. Paper: 1."""
    epsilon_end: float = 0.0
    """The same from half of the events on, after falling in a line. Paper: 0.1."""
    temperature: float = 1.0
    """Q's policy is softmax(Q / temperature); Psi and G have none."""


@dataclass(frozen=True)
class Exploration:
    """Exploration by particles: melodies to learn from that the policy would hardly compose by itself."""

    smc: int = 0
    """Particles of each system that steers melodies for the replay by the rules (sequential Monte Carlo); 0: none."""
    smc_systems: int = 256
    """Particle systems, each with a primer of its own, that give one melody each."""
    smc_every: int = 4
    """Rounds between two runs of the systems."""
    smc_c: float = 0.5
    """Their c."""
    smc_replay: int = 6144
    """Melodies kept of theirs, the latest ones."""
    smc_replayed: float = 2.0
    """Melodies of theirs that are learned from, for each new one."""
    smc_later: float = 1.0
    """Share of these that is left after the first quarter of the events."""
    repeated: float = 0.0
    """New melodies with a passage repeated that are learned from besides, for each new one."""


@dataclass(frozen=True)
class Guards:
    """Guards against collapse, by which a policy settles on few melodies."""

    least_distinct: float = 0.0
    """End early where, among 100,000 melodies, a smaller share would be distinct: the policy is collapsing. 0: never."""
    likeliest: float = 1e-7
    """Of Psi and G: how probable, after its primer, a melody may be at no cost; keeps few from making up all. 1: any.
    Q, whose maximum has no probability to bound, does without."""
    likeliest_cost: float = 20.0
    """Nats that a melody costs for each nat of log-probability beyond."""


@dataclass(frozen=True)
class Run:
    """The run: what it writes, and the machine it takes."""

    samples: int = 8
    """MIDI files to write at the end."""
    evaluate: int = 10_000
    """Melodies for the table before and after."""
    log_every: int = 10
    """Rounds between two records in metrics.jsonl, which the progress shows too; --least-distinct adds its own."""
    checkpoint_every: int = 50
    """Rounds between two savings of the resumable checkpoint; it is saved after every minute besides."""
    quiet: bool = False
    """Show no progress, no tables and no paths."""
    threads: int = 2
    """CPU threads; of a gradient step on at least 128 melodies each takes a share, smaller ones use one."""
    device: str = "cpu"
    """Torch device: cpu, cuda, cuda:1, mps."""


# A dataclass has its bases' fields from the last base to the first.
@dataclass(frozen=True)
class FinetuneConfig(Run, Guards, Exploration, Learning, Tuning):
    """Tune a Note RNN so that it obeys rules and still sounds like its data."""

    GROUPS: ClassVar[dict[str, type]] = {
        "tuning": Tuning,
        "learning": Learning,
        "exploration": Exploration,
        "guards": Guards,
        "run": Run,
    }
    """By the names of the sections in config.toml."""

    def __post_init__(self) -> None:
        where = "finetune"
        tidy(self)
        for name, choices in (("algo", Algorithm), ("preset", PresetName)):
            if getattr(self, name) not in get_args(choices):
                raise InputError(
                    f"{where}: {name} = {str(getattr(self, name))[:40]!r} must be one of {', '.join(get_args(choices))}"
                )
        check_seed(where, self.seed)
        check(where, "events", self.events, 1, 10**15)
        check(where, "length", self.length, 1, MOST_EVENTS)
        check(where, "bars", self.bars, 0, MOST_EVENTS // 16)
        for name in ("batch_size", "minibatch_size", "smc_systems"):
            check(where, name, getattr(self, name), 1, MOST_AT_ONCE)
        check(where, "smc", self.smc, 0, MOST_AT_ONCE)
        check(where, "passes", self.passes, 1, 100)
        check(where, "value_units", self.value_units, 0, MOST_UNITS)
        check(where, "threads", self.threads, 1, MOST_THREADS)
        for name in ("checkpoint_every", "log_every", "smc_every"):
            check(where, name, getattr(self, name), 1, MOST_ROUNDS)
        for name in ("replay", "evaluate"):
            check(where, name, getattr(self, name), 0, MOST_MELODIES)
        check(where, "smc_replay", self.smc_replay, 1, MOST_MELODIES)
        check(where, "samples", self.samples, 0, MOST_FILES)
        for name in (
            "gamma",
            "trace",
            "target_rate",
            "epsilon",
            "epsilon_end",
            "smc_later",
            "least_distinct",
        ):
            check(where, name, getattr(self, name), 0, 1)
        for name in ("learning_rate", "value_learning_rate"):
            check(where, name, getattr(self, name), 0, 1)
        for name in ("huber", "clip"):
            check(where, name, getattr(self, name), 0)
        for name in ("replayed", "smc_replayed", "repeated", "likeliest_cost"):
            check(where, name, getattr(self, name), 0, 100)
        for name in ("c", "smc_c", "temperature"):
            check(where, name, getattr(self, name), 1e-6)
        check(where, "likeliest", self.likeliest, 1e-30, 1)


def names_of(group: type) -> list[str]:
    """The names of a group's fields."""
    return [field.name for field in dataclasses.fields(group)]
