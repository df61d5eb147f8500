"""The key of notes without a key signature: Krumhansl's and Schmuckler's estimate, by music21."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache


def estimated_key(lengths: Mapping[int, float]) -> tuple[int, str]:
    """Krumhansl's estimate, by music21, from how long each MIDI pitch sounds: sharps and name."""
    return _estimated(tuple(sorted(lengths.items())))


@lru_cache(256)  # the tracks of a file share one
def _estimated(lengths: tuple[tuple[int, float], ...]) -> tuple[int, str]:
    from music21 import note, stream

    line = stream.Stream()
    for pitch, length in lengths:
        line.append(note.Note(pitch, quarterLength=max(float(length), 0.01)))
    key = line.analyze("krumhansl")  # plain "key" would be Aarden and Essen's
    return int(key.sharps), written_key(key.name)


def written_key(name: str) -> str:
    """ "B- major", as music21 writes it, as "Bb major"; the tonic of a minor key in capitals."""
    return name.replace("-", "b", 1)[:1].upper() + name.replace("-", "b", 1)[1:]
