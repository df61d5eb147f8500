"""The configuration of every command: one frozen dataclass each, which the command line turns into flags.

Nothing heavy is imported here, so that `rltuner --help` answers at once. Values are checked when an object is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from rltuner.config_checks import (
    DEFAULT_C,
    MOST_AT_ONCE,
    MOST_EVENTS,
    MOST_FILES,
    MOST_LAYERS,
    MOST_MELODIES,
    MOST_ROUNDS,
    MOST_THREADS,
    MOST_UNITS,
    check,
    check_seed,
    tidy,
)
from rltuner.config_generate import GenerateConfig
from rltuner.errors import InputError

Algorithm = Literal["q", "psi", "g"]
PresetName = Literal["quick", "best", "paper"]

__all__ = [
    "DEFAULT_C",
    "Algorithm",
    "EvaluateConfig",
    "FinetuneConfig",
    "GenerateConfig",
    "PresetName",
    "PretrainConfig",
    "check",
    "tidy",
]


@dataclass(frozen=True)
class PretrainConfig:
    """Train a Note RNN on real tunes."""

    corpus: str = "tunebooks"
    """tunebooks (O'Neill's and Ryan's), airds, essen, or a folder of MIDI, ABC or MusicXML files."""
    out: Path = Path("runs/note_rnn")
    """Folder to write the checkpoint to; it must not exist."""
    updates: int = 4_000
    """Gradient steps."""
    batch_size: int = 64
    """Windows a step."""
    window: int = 256
    """Events a window; a whole tune is longer, and is learned window by window."""
    from_start: float = 0.25
    """Share of the windows that begin at a tune's start, from the zero input; the others begin anywhere in a tune."""
    hidden_sizes: tuple[int, ...] = (100,)
    """Units of each LSTM layer. 100 is the RL Tuner paper's."""
    learning_rate: float = 4e-3
    """Adam's, at its highest: warmed up over 2 % of the updates, then lowered to 0 along a cosine."""
    clip: float = 1.0
    """Largest norm of a gradient."""
    validate_every: int = 500
    """Updates between two looks at the validation tunes."""
    checkpoint_every: int = 500
    """Updates between two savings of the state that --resume goes on from."""
    seed: int = 0
    """Of the split, the initial weights and the windows."""
    threads: int = 2
    """CPU threads for torch."""
    jobs: int = 0
    """Processes that parse the corpus; 0 takes every core."""
    device: str = "cpu"
    """Torch device: cpu, cuda, cuda:1, mps."""
    resume: Path | None = None
    """Continue the training in this folder, with the configuration stored there; only --threads, --jobs, --device and
    --checkpoint-every can be changed."""

    def __post_init__(self) -> None:
        where = "pretrain"
        tidy(self)
        check_seed(where, self.seed)
        for name in ("updates", "validate_every", "checkpoint_every"):
            check(where, name, getattr(self, name), 1, MOST_ROUNDS)
        check(where, "batch_size", self.batch_size, 1, MOST_AT_ONCE)
        check(where, "window", self.window, 1, MOST_EVENTS)
        check(where, "threads", self.threads, 1, MOST_THREADS)
        check(where, "from_start", self.from_start, 0, 1)
        check(where, "learning_rate", self.learning_rate, 0, 1)
        check(where, "clip", self.clip, 0)
        check(where, "jobs", self.jobs, 0, MOST_THREADS)
        sizes = self.hidden_sizes
        if not 0 < len(sizes) <= MOST_LAYERS or not 0 < min(sizes) <= max(sizes) <= MOST_UNITS:
            shown = str(sizes) if len(sizes) <= MOST_LAYERS else f"{len(sizes)} layers"
            raise InputError(
                f"pretrain: hidden_sizes = {shown}: give 1 to {MOST_LAYERS} layers of 1 to {MOST_UNITS:,} units"
            )


@dataclass(frozen=True)
class FinetuneConfig:
    """Tune a Note RNN so that it obeys rules and still sounds like its data."""

    algo: Algorithm = "psi"
    """Q, Psi or G learning."""
    preset: PresetName = "quick"
    """Sets the defaults of all that follows: quick (a minute or two), best (up to 20), paper.
    In Python, rltuner.preset() applies it."""
    note_rnn: str = "note_rnn"
    """The Note RNN to start from: a shipped name or a checkpoint folder."""
    rules: str = "magenta"
    """Rule book: magenta, gauldin, a .toml file, or a Python rule file. A Python file is code, and is run."""
    out: Path | None = None
    """Run folder; it must not exist. Default: runs/ALGO-1, runs/ALGO-2, ..."""
    events: int = 1_250_000
    """Events composed in all, rounded up to whole rounds of `batch_size` melodies of `length` events."""
    length: int = 32
    """Events a melody."""
    c: float = DEFAULT_C
    """The rules' reward is divided by c: the lower, the more the rules count against the data. Paper: 0.5."""
    gamma: float = 0.85
    """Discount a step. With 1 the optimum is known: pi* = p exp(sum of r / c), but few melodies make it up."""
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
    least_distinct: float = 0.0
    """End early where, among 100,000 melodies, a smaller share would be distinct: the policy is collapsing. 0: never."""
    likeliest: float = 1e-7
    """Of Psi and G: how probable, after its primer, a melody may be at no cost; keeps few from making up all. 1: any.
    Q, whose maximum has no probability to bound, does without."""
    likeliest_cost: float = 20.0
    """Nats that a melody costs for each nat of log-probability beyond."""
    samples: int = 8
    """MIDI files to write at the end."""
    evaluate: int = 10_000
    """Melodies for the table before and after."""
    checkpoint_every: int = 50
    """Rounds between two savings of the resumable checkpoint."""
    seed: int = 0
    """Of every random choice."""
    threads: int = 2
    """CPU threads; of a gradient step on at least 128 melodies each takes a share, smaller ones use one."""
    device: str = "cpu"
    """Torch device: cpu, cuda, cuda:1, mps."""
    config: Path | None = None
    """Take the defaults from this TOML file, such as a run folder's config.toml."""
    resume: Path | None = None
    """Continue the run in this folder, with the configuration stored there; --events and a few more can be changed."""

    def __post_init__(self) -> None:
        where = "finetune"
        tidy(self)
        check_seed(where, self.seed)
        check(where, "events", self.events, 1, 10**15)
        check(where, "length", self.length, 1, MOST_EVENTS)
        for name in ("batch_size", "minibatch_size"):
            check(where, name, getattr(self, name), 1, MOST_AT_ONCE)
        check(where, "passes", self.passes, 1, 100)
        check(where, "value_units", self.value_units, 0, MOST_UNITS)
        check(where, "threads", self.threads, 1, MOST_THREADS)
        check(where, "checkpoint_every", self.checkpoint_every, 1, MOST_ROUNDS)
        for name in ("replay", "evaluate"):
            check(where, name, getattr(self, name), 0, MOST_MELODIES)
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
        check(where, "huber", self.huber, 0)
        check(where, "smc", self.smc, 0, MOST_AT_ONCE)
        check(where, "smc_systems", self.smc_systems, 1, MOST_AT_ONCE)
        check(where, "smc_every", self.smc_every, 1, MOST_ROUNDS)
        check(where, "smc_replay", self.smc_replay, 1, MOST_MELODIES)
        check(where, "smc_c", self.smc_c, 1e-6)
        for name in ("replayed", "smc_replayed", "repeated"):
            check(where, name, getattr(self, name), 0, 100)
        check(where, "c", self.c, 1e-6)
        check(where, "temperature", self.temperature, 1e-6)
        check(where, "clip", self.clip, 0)
        check(where, "likeliest", self.likeliest, 1e-30, 1)
        check(where, "likeliest_cost", self.likeliest_cost, 0, 100)


@dataclass(frozen=True)
class EvaluateConfig:
    """Judge sources of melodies side by side: the paper's rows, diversity, fidelity, likeness to human tunes, rules."""

    sources: tyro.conf.Positional[tuple[str, ...]]
    """Checkpoints (shipped names, folders, run folders), folders of MIDI files, files (judged together), or `human`."""
    count: int = 10_000
    """Melodies composed by each checkpoint. Files and human tunes are taken as they are."""
    length: int = 32
    """Events a melody, and of the windows that human tunes are cut into."""
    key: str = "C major"
    """Judges the notes in key and the tonic."""
    meter: str | None = None
    """Bars of human tunes (4/4 where not given) and of files (their own where not given); checkpoints have their own."""
    rules: str | None = None
    """Also give what each rule of this book pays: a shipped name, a .toml file, or a Python rule file (which is run)."""
    c: float = DEFAULT_C
    """Divides the rules' reward in J = E[sum of r / c] - KL, which --rules adds."""
    bound: bool = False
    """With --rules: J of each checkpoint and its gap to a lower estimate of the optimum (some 3 minutes each)."""
    primer: str = "random_note"
    """What checkpoints hear first: none, random_note, human, or a MIDI, ABC or MusicXML file of one melody."""
    temperature: float = 1.0
    """Of the checkpoints' sampling; they are judged at it, but for --bound, whose J is that of temperature 1."""
    paper: bool = False
    """Put the paper's published columns beside them."""
    json: Path | None = None
    """Also write the figures to this file."""
    report: Path | None = None
    """Also write report.html, report.md, metrics.json, metrics.csv and plots into this folder, new or empty."""
    seed: int = 0
    """Of the composing."""
    threads: int = 2
    """CPU threads for torch."""
    device: str = "cpu"
    """Torch device: cpu, cuda, cuda:1, mps."""

    def __post_init__(self) -> None:
        where = "evaluate"
        tidy(self)
        check_seed(where, self.seed)
        check(where, "count", self.count, 1, MOST_MELODIES)
        check(where, "length", self.length, 1, MOST_EVENTS)
        check(where, "threads", self.threads, 1, MOST_THREADS)
        check(where, "temperature", self.temperature, 0)
        check(where, "c", self.c, 1e-6)
        if self.bound and self.rules is None:
            raise InputError("evaluate: bound without rules; name the book, such as --rules magenta")
