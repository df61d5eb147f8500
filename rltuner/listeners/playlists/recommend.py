"""`rltuner listeners recommend`: the tunes of a preference, those most like a start first, as MIDI with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rltuner.console import output_console, say
from rltuner.errors import InputError
from rltuner.listeners.config import RecommendConfig
from rltuner.listeners.environments.likes import Preference, Shelf
from rltuner.listeners.music.catalogue import Catalogue, catalogue, tunes_of
from rltuner.listeners.music.features import MEASURED, Rows, features, measured
from rltuner.listeners.playlists.composing import compose_for
from rltuner.melody import Melodies
from rltuner.melody.midi import write_midi
from rltuner.networks.note_rnn import NoteRNN
from rltuner.reading.songs import read_song
from rltuner.storing.atomic import naming
from rltuner.storing.output_folder import check_is_empty, filled_folder

NAMED = 3  # features in a reason


@dataclass(frozen=True)
class Pick:
    """One tune of a playlist."""

    title: str
    melody: Melodies
    why: str


def recommend(config: RecommendConfig) -> None:
    """Writes the playlist: 01-TITLE.mid and so on, and why.md.

    Where fewer tunes than wanted are liked, it says how the preference could change; with --compose it composes the rest.
    Raises InputError where nothing is liked and --compose is not given, where --like or --by names nothing, or the start
    cannot be read.
    """
    check_is_empty(config.out)
    known = catalogue(config.sources)
    note_rnn = NoteRNN.load("note_rnn")
    rows = features(known.tunes, "measured", note_rnn)
    shelf = Shelf(known, rows)
    preference = Preference(config.like or None, config.by or None, config.danceability)
    if preference.parts:
        preference = shelf.checked(preference)
    elif config.start is None:
        raise InputError(
            "listeners recommend: give --like, --by, --danceability or --start: something to go by"
        )
    start = start_of(config, rows) if config.start is not None else None
    picks = chosen(known, rows, shelf, preference, start, config.count)
    missing = config.count - len(picks)
    if missing:
        offers = changes(shelf, preference)
        found = f"{len(picks)} of the {len(known)} tunes are {preference}"
        if config.compose:
            say(f"{found}; {missing} composed")
            picks += composed(preference, known, note_rnn, missing, config.seed)
        elif not picks:
            raise InputError(f"{found}: change the preference ({offers}), or add --compose")
        else:
            say(f"{found}: change the preference for more ({offers}), or add --compose")
    heading = f"Playlist: {preference}" + (f", from {config.start}" if config.start else "")
    text = "\n".join(
        [f"# {heading}", "", *(f"{n}. **{p.title}**: {p.why}" for n, p in enumerate(picks, start=1)), ""]
    )
    with filled_folder(config.out) as folder:
        for number, pick in enumerate(picks, start=1):
            name = "".join(c if c.isalnum() else "_" for c in pick.title)[:40].strip("_") or "tune"
            write_midi(
                pick.melody.notes(0), folder / f"{number:02}-{name}.mid", config.qpm, pick.melody.meter
            )
        with naming(folder / "why.md"):
            (folder / "why.md").write_text(text, encoding="utf-8")
    output_console.print(text, markup=False, soft_wrap=True)
    say(f"playlist: {config.out}")


def start_of(config: RecommendConfig, rows: Rows) -> Rows:
    """The measured features of the start, float64 [17]; what cannot be measured of it is the catalogue's median."""
    assert config.start is not None
    song = read_song(config.start)
    for remark in song.remarks:
        say(f"{config.start}: {remark}")
    found = measured(tunes_of(song.melody, song.title))[0]
    return np.where(np.isnan(found), np.median(rows, axis=0), found)


def chosen(
    known: Catalogue, rows: Rows, shelf: Shelf, preference: Preference, start: Rows | None, count: int
) -> list[Pick]:
    """The liked tunes, those nearest to the start first (standardised features, Euclidean); without a start those
    nearest to the mean of all that are liked."""
    scale = np.maximum(rows.std(axis=0), 1e-9)
    liked = np.arange(len(known))
    if preference.parts:
        liked = np.flatnonzero(shelf.verdicts(preference).all(dim=1).numpy())
    if not len(liked):
        return []
    centre = start if start is not None else rows[liked].mean(axis=0)
    apart = (rows - centre) / scale
    distance = np.linalg.norm(apart, axis=1)
    spread = np.median(distance)
    picks: list[Pick] = []
    heard: set[tuple[int, ...]] = set()
    for number in liked[np.argsort(distance[liked], kind="stable")].tolist():
        if len(picks) == count:
            break
        if known.tunes[number].events in heard:  # two books have the same tune
            continue
        heard.add(known.tunes[number].events)
        names = list(MEASURED)
        alike = [names[f].replace("_", " ") for f in np.argsort(np.abs(apart[number]), kind="stable")[:NAMED]]
        what = "the start" if start is not None else "the middle of what is liked"
        ratio = distance[number] / max(spread, 1e-9)
        why = (
            f"{known.families[number]}, transcribed by {known.transcribers[number]}, danceability "
            f"{float(shelf.danceability[number]):.2f}; {ratio:.2f} of the usual distance from {what}, most alike in "
            f"{', '.join(alike)}"
        )
        picks.append(Pick(known.title(number), known.melody(number), why))
    return picks


def changes(shelf: Shelf, preference: Preference) -> str:
    """How many tunes would be liked if one part of the preference were dropped."""
    offers: Sequence[tuple[str, Preference]] = [
        ("any family", replace(preference, family=None)),
        ("any transcriber", replace(preference, transcriber=None)),
        ("any danceability", replace(preference, danceability=None)),
    ]
    texts = []
    for text, other in offers:
        if other != preference:
            count = int(shelf.verdicts(other).all(dim=1).sum()) if other.parts else len(shelf)
            texts.append(f"{text}: {count}")
    return ", ".join(texts)


def composed(
    preference: Preference, known: Catalogue, note_rnn: NoteRNN, count: int, seed: int
) -> list[Pick]:
    """Melodies composed for the preference."""
    melodies = compose_for(preference, known, note_rnn, count, seed)
    found = measured(tunes_of(melodies, "composed"))[:, list(MEASURED).index("danceability")]
    return [
        Pick(
            f"Composed {number + 1}",
            melodies[number],
            f"composed for {preference}, in {melodies.meter}, danceability {found[number]:.2f}; "
            "by particles on the Note RNN",
        )
        for number in range(count)
    ]
