"""The catalogue: the tunes that can be played to a listener, each with its family and its transcriber."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from rltuner.errors import InputError
from rltuner.eval.sources import HUMAN, read_source
from rltuner.listeners.music.families import family, transcriber
from rltuner.melody import Melodies
from rltuner.melody.tunes import Tune, human_tunes, training_tunes

SHIPPED = "shipped"  # the test tunes and those that the Note RNN learned from
LEAST = 2  # tunes in a catalogue


@dataclass(frozen=True)
class Catalogue:
    """Tunes that can be played, in a fixed order. Raises InputError for fewer than two."""

    tunes: tuple[Tune, ...]
    families: tuple[str, ...]
    """Of each tune."""

    def __post_init__(self) -> None:
        if len(self.tunes) < LEAST:
            raise InputError(
                f"the catalogue has {len(self.tunes)} tunes; it needs at least {LEAST}: name sources with more melodies"
            )

    def __len__(self) -> int:
        return len(self.tunes)

    @cached_property
    def transcribers(self) -> tuple[str, ...]:
        """Of each tune."""
        return tuple(transcriber(tune) for tune in self.tunes)

    @cached_property
    def counts(self) -> dict[str, int]:
        """Tunes of each family, most first."""
        return dict(Counter(self.families).most_common())

    def melody(self, number: int) -> Melodies:
        """One tune as a batch of one melody."""
        return Melodies.from_lists([self.tunes[number].events], meter=self.tunes[number].meter)

    def title(self, number: int) -> str:
        """How a tune is named to a person."""
        return self.tunes[number].title or self.tunes[number].source


def catalogue(
    sources: Sequence[str] = (SHIPPED,), count: int = 200, length: int = 128, seed: int = 0
) -> Catalogue:
    """The melodies of some sources.

    Args:
      sources: "shipped", all tunes that come with the package; "human", its test tunes; or any source of melodies
        (`eval.sources`), whose melodies are a family of their own, named as the source.
      count, length, seed: of what a checkpoint composes.

    Raises InputError where a source is unknown or there are fewer than two melodies in all.
    """
    tunes: list[Tune] = []
    families: list[str] = []
    for source in dict.fromkeys(sources):
        if source in (SHIPPED, HUMAN):
            found = [*human_tunes(), *(training_tunes() if source == SHIPPED else ())]
            tunes += found
            families += [family(tune) for tune in found]
            continue
        melodies = read_source(source, count, length, seed=seed).melodies
        tunes += tunes_of(melodies, source)
        families += [source] * len(melodies)
    return Catalogue(tuple(tunes), tuple(families))


def tunes_of(melodies: Melodies, source: str) -> list[Tune]:
    """Melodies as tunes, filled up to whole bars with what a held note or a silence needs."""
    result = []
    rows = zip(melodies.events.tolist(), melodies.lengths.tolist(), strict=True)
    for number, (row, length) in enumerate(rows, start=1):
        missing = -length % melodies.meter.steps_per_bar
        events = (*row[:length], *([1] * missing))
        result.append(Tune(f"{source} {number}", source, source, melodies.meter, events))
    return result
