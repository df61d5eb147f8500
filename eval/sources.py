"""Sources of melodies, named the same way in every command.

A source is a checkpoint (a shipped name, a checkpoint folder or a run folder), a file (MIDI, ABC or MusicXML; every tune
of a tunebook), a folder of MIDI files, or ``human``: the shipped test tunes, cut into non-overlapping windows from bar
lines.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from rltuner.console import say
from rltuner.errors import InputError
from rltuner.melody import Melodies, Meter, Vocabulary
from rltuner.melody.tunes import human_tunes, windows_with_tunes
from rltuner.networks.compose import compose
from rltuner.networks.policy import Policy, load
from rltuner.reading.generated import moved_by
from rltuner.reading.songs import read_songs
from rltuner.storing.checkpoints import CONFIG, shipped_checkpoints
from rltuner.storing.unfinished import go_on_command

HUMAN = "human"
CUT_TIME = Meter(16, 8)
MANY_REMARKS = 20  # more are counted, not said


@dataclass(frozen=True)
class Source:
    """Melodies, and what is known of where they come from."""

    name: str
    melodies: Melodies
    groups: Tensor | None = None
    """int64 [B]: melodies of one number come from one tune. None: each stands by itself."""
    policy: Policy | None = None
    """What composed them, where it is a checkpoint."""
    left_out: tuple[str, ...] = ()
    """Files that could not be used, each with its reason."""
    remarks: tuple[str, ...] = ()
    """What a person should know of how files were read."""
    signatures: tuple[str, ...] = ()
    """The keys that files' signatures mean, as they are written; files without one are left out."""
    transposed: int = 0
    """Semitones that all melodies were moved by: keys in which they are judged move with them."""
    octaves: Tensor | None = None
    """int64 [B]: semitones, whole octaves, that each melody was moved by to fit the vocabulary. None: none was."""


def read_source(
    source: str,
    count: int,
    length: int,
    *,
    primer: str = "random_note",
    seed: int = 0,
    temperature: float = 1.0,
    device: str = "cpu",
    meter: Meter | None = None,
    track: str = "",
) -> Source:
    """The melodies of a source.

    Checkpoints compose `count` melodies of `length` events, Note RNNs in `meter` where it is given. Human tunes give as
    many windows of `length` events as there are in the metre (4/4 where not given), files are taken whole, at whatever
    length; `count` does not apply to either. Of a folder, MIDI files that cannot be used are named on standard error
    and left out. Files are counted in `meter` where it is given, else in their own, which must then be one.

    Raises InputError where the source is unknown or has no melody.
    """
    path = Path(source)
    if source == HUMAN:
        return _human(length, meter)
    if is_file(path):
        return from_files(source, [path], meter, track)
    if source not in shipped_checkpoints() and os.path.isdir(path):
        holds_checkpoint = (path / CONFIG).is_file() or (path / "policy" / CONFIG).is_file()
        files = sorted(p for p in path.rglob("*") if p.suffix.lower() in (".mid", ".midi") and p.is_file())
        if files and not holds_checkpoint and not go_on_command(path):
            return from_files(source, files, meter, track)
        if not holds_checkpoint and not go_on_command(path):
            raise InputError(
                f"{source}: no checkpoint (no {CONFIG}) and no MIDI file in this folder; name files of other formats one "
                "by one"
            )
    policy = load(source).to(device)
    if meter is not None and policy.kind == "note_rnn":
        policy.network.meter = meter  # it has none of its own
    melodies = compose(policy, count, length, primer=primer, seed=seed, temperature=temperature)
    return Source(source, melodies, policy=policy)


def _human(length: int, meter: Meter | None) -> Source:
    melodies, numbers = windows_with_tunes(human_tunes(), length, meter)
    if not len(melodies):
        raise InputError(
            f"human: no test tune in {melodies.meter} is as long as {length} events; use a shorter --length or "
            "another --meter"
        )
    return Source(HUMAN, melodies, numbers)


def from_files(name: str, files: Sequence[Path], meter: Meter | None = None, track: str = "") -> Source:
    """The melodies of files as one batch, each as long as it is; of a tunebook all its tunes.

    What `rltuner generate --key` moved is moved back, by its manifest; what leaves the vocabulary, by octaves. Cut time
    is counted as 4/4, which has the same bar. Of files with several tracks, parts or voices `track` names one.

    Raises InputError where none can be used, or where they are in different metres and none is given.
    """
    melodies: list[Melodies] = []
    used: list[str] = []
    octaves: list[int] = []
    left_out, remarks, signatures = [], [], []
    vocabulary, shift = Vocabulary(), _moved_by(files)
    heard = Vocabulary(vocabulary.min_pitch + shift, vocabulary.max_pitch + shift)
    if shift:
        remarks.append(
            f"{name}: moved back by {-shift:+d} semitones, as its manifest.json says that generate --key moved it; the "
            "key moves with it, rules judge it as it was composed"
        )
        say(remarks[-1])
    for file in files:
        try:
            songs, errors = read_songs(file, heard, track)
        except InputError as error:
            if len(files) == 1:
                raise
            songs, errors = [], [str(error)]
        left_out += errors
        for line in errors:
            say(f"left out: {line}")
        said = [f"{song.source}: {remark}" for song in songs for remark in song.remarks]
        for line in said[:MANY_REMARKS]:
            say(line)
        if len(said) > MANY_REMARKS:
            say(f"{file}: {len(said) - MANY_REMARKS} more such lines; --json and --report have all")
        remarks += said
        for song in songs:
            own = song.melody
            counted = Meter() if own.meter == CUT_TIME else own.meter
            melodies.append(Melodies(own.events, own.lengths, None, vocabulary, meter or counted))
            used.append(song.source)
            octaves.append(song.moved)
            signatures += [song.signature] if song.signature else []
    if not melodies:
        raise InputError(f"{name}: none of its {len(files)} files is a usable melody")
    for one, melody in zip(used, melodies, strict=True):
        if melody.meter != melodies[0].meter:
            raise InputError(
                f"{used[0]} is in {melodies[0].meter}, {one} in {melody.meter}: evaluate each metre by itself, or "
                f"give --meter {melodies[0].meter} to count all of them in it"
            )
    return Source(
        name,
        Melodies.concatenate(melodies),
        torch.arange(len(melodies)),
        left_out=tuple(left_out),
        remarks=tuple(remarks),
        signatures=tuple(signatures),
        transposed=-shift,
        octaves=torch.tensor(octaves) if any(octaves) else None,
    )


def _moved_by(files: Sequence[Path]) -> int:
    """Semitones that `rltuner generate` moved the files by, as the manifests beside them say; 0 where they say nothing,
    or not all the same."""
    found = {moved_by(folder) for folder in {file.parent for file in files}}
    return found.pop() if len(found) == 1 else 0


def is_file(path: Path) -> bool:
    """Whether the path is a file; False, without an error, also for a name that no file can have."""
    return os.path.isfile(path)


def pooled(sources: Sequence[str]) -> list[tuple[str, list[Path]]]:
    """The sources in order, files named one by one put together: (name, files of it, or none for another source).

    `rltuner evaluate songs/*.mid` judges the songs together, as it would the folder. They stand where the first of them
    stood, under the name of their folder where it is one, and "files" otherwise.
    """
    files = [Path(source) for source in sources if source != HUMAN and is_file(Path(source))]
    if len(files) < 2:
        return [(source, []) for source in sources]
    folders = {file.parent for file in files}
    name = f"{folders.pop()}/" if len(folders) == 1 else "files"
    result: list[tuple[str, list[Path]]] = []
    for source in sources:
        if Path(source) not in files:
            result.append((source, []))
        elif not any(found for _, found in result):
            result.append((name if name != "./" else "files", files))
    return result
