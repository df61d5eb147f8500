"""Sources of melodies, named the same way in every command.

A source is a checkpoint (a shipped name, a checkpoint folder or a run folder), a file (MIDI, ABC or MusicXML), a folder
of MIDI files, or ``human``: the shipped test tunes, cut into non-overlapping windows from bar lines.
"""

from __future__ import annotations

from pathlib import Path

from rltuner.compose import compose
from rltuner.console import say
from rltuner.errors import InputError
from rltuner.melody import Melodies, Meter
from rltuner.policy import load
from rltuner.songs import read_song
from rltuner.storage import CONFIG, shipped_checkpoints


def melodies_of(
    source: str,
    count: int,
    length: int,
    *,
    primer: str = "random_note",
    seed: int = 0,
    temperature: float = 1.0,
    device: str = "cpu",
    meter: Meter | None = None,
) -> Melodies:
    """The melodies of a source.

    Checkpoints compose `count` melodies of `length` events. Human tunes give as many windows of `length` events as
    there are in the metre (4/4 where not given), files are taken whole, at whatever length; `count` does not apply to
    either. Of a folder, MIDI files that cannot be used are named on standard error and left out.

    Raises InputError where the source is unknown or has no melody.
    """
    path = Path(source)
    if source == "human":
        from rltuner.tunes import human_tunes, windows

        found = windows(human_tunes(), length, meter)
        if not len(found):
            raise InputError(
                f"human: no test tune in {found.meter} is as long as {length} events; use a shorter --length or "
                "another --meter"
            )
        return found
    if path.is_file():
        song = read_song(path)
        for remark in song.remarks:
            say(f"{path}: {remark}")
        return song.melody
    if source not in shipped_checkpoints() and path.is_dir():
        holds_checkpoint = (path / CONFIG).is_file() or (path / "policy" / CONFIG).is_file()
        files = sorted(p for p in path.rglob("*") if p.suffix.lower() in (".mid", ".midi"))
        if files and not holds_checkpoint:
            return _from_files(path, files)
    policy = load(source).to(device)
    return compose(policy, count, length, primer=primer, seed=seed, temperature=temperature)


def _from_files(folder: Path, files: list[Path]) -> Melodies:
    """All monophonic MIDI files of a folder as one batch, in 4/4 for the grid's sake."""
    parts = []
    for file in files:
        try:
            melody = Melodies.from_midi(file)
        except InputError as error:
            say(f"left out: {error}")
            continue
        parts.append(Melodies(melody.events, melody.lengths))
    if not parts:
        raise InputError(f"{folder}: none of its {len(files)} MIDI files is a usable melody")
    return Melodies.concatenate(parts)
