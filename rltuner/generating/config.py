"""The configuration of `rltuner generate`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import tyro

from rltuner.checks import (
    DEFAULT_C,
    MOST_AT_ONCE,
    MOST_EVENTS,
    MOST_FILES,
    MOST_THREADS,
    check,
    check_seed,
    tidy,
)
from rltuner.errors import InputError

AudioFormat = Literal["wav", "flac"]
SOURCES = {"4/4": "tune", "6/8": "jig", "3/4": "waltz"}  # where none is given, by --meter
BARS = (
    8  # where neither --length nor --bars is given, and the source was not tuned on melodies of some length
)
Ending = Literal["open", "closed"]


@dataclass(frozen=True)
class GenerateConfig:
    """Write melodies as MIDI files and, where asked, as audio, piano rolls and MusicXML."""

    source: Annotated[
        tyro.conf.Positional[str],
        tyro.conf.arg(
            help_behavior_hint="(default: tune; --meter 6/8: jig, 3/4: waltz, any other: note_rnn)"
        ),
    ] = ""
    """A shipped checkpoint's name, a checkpoint folder or a run folder."""
    out: Path = Path("samples")
    """Folder to write to; it must not exist or be empty."""
    count: int = 20
    """Number of melodies."""
    length: int | None = None
    """Events (sixteenths) a melody. Where --bars is not given either: as many as it was tuned on; a Note RNN, 8 bars."""
    bars: int | None = None
    """The same in bars of the policy's metre."""
    meter: str | None = None
    """Metre of an untuned Note RNN's melodies, such as 3/4, 6/8 or 7/8; 4/4, or the book's, where not given. A tuned
    policy has its own."""
    form: str | None = None
    """A letter for each phrase of four bars, such as AABA or AABB (16 bars): phrases of one letter begin alike and close
    each in its own way."""
    ending: Ending | None = None
    """closed: the last note is the tonic; open: it is of the dominant chord (2, 5, 7)."""
    key: str | None = None
    """Move the tonic here, such as "G major", up to 6 semitones. The mode is that of the policy's rule book, for
    another one tune a policy. An untuned Note RNN has the key and metre of the book that steers it (--smc) or chooses
    (--best-of), else it counts as C major, though its tunes are in several modes. Of an imported one a primer file is in
    this key, and without it in the major key that holds most of its notes; mono_rnn plays in every key."""
    primer: str = "random_note"
    """What the network hears first: none, random_note, human, or a MIDI, ABC or MusicXML file of one melody, in
    the key of the output."""
    track: str = ""
    """The track, part or voice of a primer's file with several, by name or number (from 1)."""
    keep_primer: bool = False
    """Write the primer before the melody, after the silence that lets the melody begin on a bar line. Metrics and
    rewards never count it."""
    qpm: float = 100.0
    """Tempo in quarter notes a minute."""
    instrument: str = "0"
    """General MIDI program, 0 (piano) to 127, or its name, such as "Flute"."""
    temperature: float = 1.0
    """Below 1 the likelier events get likelier, above 1 less so; 0 takes the likeliest."""
    top_p: float = 1.0
    """Sample from the likeliest events only: the fewest that have this probability together; 1 takes all."""
    greedy: bool = False
    """Take the likeliest event, as --temperature 0 does."""
    best_of: int = 1
    """Compose this many for each melody, after the same primer, and keep the one that --rules reward most."""
    smc: int = 0
    """Steer by the rules without training: the particles of each melody's particle system; 0 does not steer."""
    rules: str | None = None
    """Rule book of --best-of, --smc (magenta where not given) and the manifest's rewards: a shipped name, a .toml file,
    or a Python rule file (which is run). It judges melodies before --key moves them."""
    c: float = DEFAULT_C
    """While steering, the rules' reward is divided by c: the lower, the more the rules count."""
    audio: bool = False
    """Also write audio, all files equally loud (-23 LUFS) and equally long. Needs rltuner[audio]."""
    audio_format: AudioFormat = "wav"
    """Of --audio."""
    png: bool = False
    """Also draw a piano roll of each."""
    musicxml: bool = False
    """Also write each as MusicXML, through music21 (some twenty a second)."""
    seed: int = 0
    """The same seed gives the same files."""
    threads: int = 2
    """CPU threads for torch."""
    device: str = "cpu"
    """Torch device: cpu, cuda, cuda:1, mps."""

    def __post_init__(self) -> None:
        where = "generate"
        tidy(self)
        if not self.source:
            object.__setattr__(self, "source", SOURCES.get(self.meter or "4/4", "note_rnn"))
        check(where, "count", self.count, 1, MOST_FILES)
        check(where, "best_of", self.best_of, 1, MOST_AT_ONCE)
        check(where, "threads", self.threads, 1, MOST_THREADS)
        for name, most in (("length", MOST_EVENTS), ("bars", MOST_EVENTS // 16)):
            value = getattr(self, name)
            if value is not None and type(value) is not int:
                raise InputError(f"{where}: {name} = {value!r} must be a whole number")
            if value is not None:
                check(where, name, value, 1, most)
        if self.length is not None and self.bars is not None:
            raise InputError(f"generate: bars = {self.bars} and length = {self.length}; give one of them")
        check(where, "qpm", self.qpm, 4, 1000)
        check_seed(where, self.seed)
        check(where, "temperature", self.temperature, 0)
        check(where, "top_p", self.top_p, 0, 1)
        check(where, "smc", self.smc, 0, MOST_AT_ONCE)
        check(where, "c", self.c, 1e-6)
        if self.top_p == 0:
            raise InputError("generate: top_p = 0 leaves no event; for the likeliest one use --greedy")
        if self.greedy and self.temperature not in (0, 1):
            raise InputError(f"generate: temperature = {self.temperature:g} with --greedy; give one of them")
        takes_likeliest = self.greedy or self.temperature == 0
        if takes_likeliest and self.top_p != 1:
            raise InputError(
                f"generate: top_p = {self.top_p:g}, but only the likeliest event is taken; leave it out"
            )
        if self.smc and (self.temperature != 1 or self.greedy or self.top_p != 1):
            raise InputError(
                "generate: smc with another temperature, top_p or greedy; particles are drawn at 1"
            )
        if self.best_of > 1 and self.smc:
            raise InputError(f"generate: best_of = {self.best_of} with smc = {self.smc}; give one of them")
        if self.best_of > 1 and self.rules is None:
            raise InputError(
                f"generate: best_of = {self.best_of} without rules; name the book: --rules magenta"
            )
        if self.best_of > 1 and takes_likeliest:
            raise InputError(
                f"generate: best_of = {self.best_of}, but the likeliest melody is always the same one"
            )
        if self.form is not None and self.bars is None and self.length is None:
            object.__setattr__(self, "bars", 4 * len(self.form))
        if self.form is not None and not re.fullmatch("A[A-H]{1,7}", self.form):
            raise InputError(
                f"generate: form = {self.form[:20]!r} must be 2 to 8 letters from A on, such as AABA or AABB"
            )
        if self.ending is not None and self.ending not in get_args(Ending):
            raise InputError(
                f"generate: ending = {self.ending!r} must be one of {', '.join(get_args(Ending))}"
            )
        if (self.form or self.ending) and (self.smc or self.best_of > 1):
            raise InputError("generate: form or ending with smc or best_of; leave one of them out")
        if (self.form or self.ending) and takes_likeliest:
            raise InputError(
                "generate: form or ending, but the likeliest melody is always the same one; leave --greedy out"
            )
        if self.audio_format != "wav" and not self.audio:
            raise InputError(f"generate: audio_format = {self.audio_format!r} without --audio; add it")
        if self.keep_primer and self.primer == "none":
            raise InputError("generate: keep_primer with the primer none; there is nothing to keep")
