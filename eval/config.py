"""The configuration of `rltuner evaluate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from rltuner.checks import DEFAULT_C, MOST_EVENTS, MOST_MELODIES, MOST_THREADS, check, check_seed, tidy
from rltuner.errors import InputError


@dataclass(frozen=True)
class EvaluateConfig:
    """Judge sources of melodies side by side: the paper's rows, diversity, fidelity, likeness to human tunes, rules."""

    sources: tyro.conf.Positional[tuple[str, ...]]
    """Checkpoints (shipped names, folders, run folders), folders of MIDI files, files (judged together), or `human`."""
    count: int = 10_000
    """Melodies composed by each checkpoint. Files and human tunes are taken as they are."""
    length: int = 32
    """Events a melody, and of the windows that human tunes are cut into."""
    bars: int = 0
    """The same in whole bars, of the metre given, the first checkpoint's, or 4/4; 0: `length` counts."""
    key: str = "C major"
    """Judges the notes in key and the tonic."""
    meter: str | None = None
    """Bars of human tunes and of Note RNNs' melodies (4/4 where not given) and of files (their own where not given);
    tuned policies have their own."""
    track: str = ""
    """The track, part or voice that is read of files with several, by name or number (from 1)."""
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
        check(where, "bars", self.bars, 0, MOST_EVENTS // 16)
        check(where, "threads", self.threads, 1, MOST_THREADS)
        check(where, "temperature", self.temperature, 0)
        check(where, "c", self.c, 1e-6)
        if self.bound and self.rules is None:
            raise InputError("evaluate: bound without rules; name the book, such as --rules magenta")
