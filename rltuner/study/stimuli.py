"""`rltuner study new`: melodies of every source, rendered alike, under names that tell nothing.

All clips have the same duration, tempo, instrument and loudness (`generating.audio`). Names are random; which clip is
whose stands in the private key only.
"""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rltuner.console import progress_bar, say
from rltuner.errors import InputError
from rltuner.eval.sources import HUMAN, read_source
from rltuner.interrupts import cleanly_ended
from rltuner.melody import NO_EVENT, NOTE_OFF, Melodies, Vocabulary
from rltuner.reading.encoding import ANY_PITCH
from rltuner.storing.atomic import write_atomically
from rltuner.storing.checkpoints import CONFIG, shipped_checkpoints
from rltuner.study.folder import (
    FORMAT,
    HUMAN_CATCH,
    KEY,
    PLAN,
    RANDOM_CATCH,
    SOUND_CHECK,
    STIMULI,
    read_study,
)
from rltuner.study.plan import Design, Plan
from rltuner.study.plan_file import plan_toml
from rltuner.version import __version__

SUFFIX = ".flac"
Render = Callable[[Sequence[tuple[Path, Path]], float], None]  # (MIDI file, audio file) each; seconds


@dataclass(frozen=True)
class Clip:
    """A melody to be heard, a batch of one [1, T], with its source and the random name of its audio file."""

    source: str
    melody: Melodies
    name: str


def named(sources: Sequence[str]) -> list[tuple[str, str]]:
    """(name in the results, source) of each: NAME=SOURCE gives both; otherwise the name is the last part of the path,
    and a shipped name or `human` is its own.

    Raises InputError where fewer than two are given, or two have one name.
    """
    pairs = []
    for given in sources:
        name, equals, source = given.partition("=")
        if not equals or Path(given).exists():
            name, source = Path(given).name or given, given
        if not name.strip() or not source or name.strip() in (HUMAN_CATCH, RANDOM_CATCH, SOUND_CHECK):
            raise InputError(f"sources: {given!r} must be SOURCE or NAME=SOURCE, with a name of your own")
        pairs.append((name.strip(), source))
    if len(pairs) < 2:
        raise InputError(f"sources: {len(pairs)} given; name at least two")
    for place, (name, source) in enumerate(pairs):
        for other, earlier in pairs[:place]:
            if name == other:
                raise InputError(
                    f"sources: {earlier} and {source} would both be called {name!r} in the results; name one of them, "
                    f"such as another_{name}={source}"
                )
    return pairs


def sources_of(design: Design, file: Path | None, given: Sequence[str]) -> list[tuple[str, str]]:
    """(name, source) of each source that is `given`, else of those that the study.toml `file` names.

    Raises InputError where `file` names a source that is neither shipped nor `human`: what that was made from stands in
    the private key of its study alone.
    """
    known = [*shipped_checkpoints(), HUMAN]
    unknown = [name for name in design.sources if name not in known]
    if not given and unknown:
        every = " ".join(name if name in known else f"{name}=FOLDER" for name in design.sources)
        raise InputError(
            f"{file}: does not say what {unknown[0]!r} is made from; say it, such as --sources {every}"
        )
    return named(given or design.sources)


def designed(
    base: Design,
    sources: Sequence[str],
    given: Mapping[str, Any],
    bars: int | None = None,
    seconds: float | None = None,
) -> tuple[Design, int]:
    """A design, and the length of its melodies in events: `base`, but for its sources and what is given.

    Args:
      base: of another study, or the defaults.
      sources: their names in the results.
      given: values of pairs, items, catch, qpm and seed; None keeps that of `base`. Where items is None or 0, it is as
        many as a listener hears, but at least those of `base` (None) or 8 (0).
      bars, seconds: of every clip. Where neither is given, a clip has as many sixteenths as one of `base`.
    """
    changes = {name: value for name, value in given.items() if value is not None}
    design = replace(base, sources=tuple(sources), **changes)
    step = 15 / design.qpm  # seconds of a sixteenth
    if bars is not None:
        events = bars * 16
    elif seconds is not None:
        events = max(1, round(seconds / step))
    else:
        events = max(1, round(base.seconds * base.qpm / 15))
    contrasts = max(1, len(sources) * (len(sources) - 1) // 2)
    items = given.get("items") or max(
        base.items if given.get("items") is None else 8, -(-design.pairs // contrasts)
    )
    return replace(design, items=items, seconds=round(events * step, 6)), events


def new_study(
    folder: Path, sources: Sequence[str], plan: Plan, events: int, render: Render | None = None
) -> None:
    """Makes the folder of a study, whole or not at all.

    Args:
      folder: must not exist.
      sources: what each of the plan's sources is made from, in the same order; see `eval.sources`.
      plan: its `design.seconds` is the duration of `events` events.
      events: of every melody.
      render: how MIDI becomes audio; `generating.audio`'s where not given.

    Raises InputError where the folder exists or cannot be made, or a source is unknown or has too few melodies.
    """
    if folder.exists():
        raise InputError(f"{folder}: exists already; give the study another name")
    torch.set_num_threads(1)
    design = plan.design
    each = (len(sources) - 1) * design.items  # a clip is compared with one other
    clips = {
        name: _clips(name, source, each, events, design.seed + place)
        for place, (name, source) in enumerate(zip(design.sources, sources, strict=True))
    }
    queues = {name: iter(found) for name, found in clips.items()}
    items = [(next(queues[a]), next(queues[b])) for _ in range(design.items) for a, b in plan.contrasts]
    heard = {tuple(clip.melody.events[0].tolist()) for found in clips.values() for clip in found}
    spare = _clips(HUMAN_CATCH, "human", design.catch + 1, events, design.seed + len(sources), heard)
    human, sound = spare[:-1], [replace(spare[-1], source=SOUND_CHECK)]
    noise = [
        Clip(RANDOM_CATCH, Melodies(row[None]), _name())
        for row in _random_notes(design.catch, events, design.seed)
    ]
    identical = [clips[design.sources[k % len(sources)]][-1] for k in range(design.catch)]
    every = [clip for found in clips.values() for clip in found] + human + noise + sound
    key = {
        "format": FORMAT,
        "rltuner": __version__,
        "secret": secrets.token_hex(32),
        "design": {
            "sources": list(design.sources),
            "made_from": list(sources),
            **{name: getattr(design, name) for name in ("items", "catch", "seconds", "qpm", "seed")},
            "events": events,
        },
        "items": [[a.name, b.name] for a, b in items],
        "identical": [clip.name for clip in identical],
        "random_notes": [[h.name, n.name] for h, n in zip(human, noise, strict=True)],
        "sound_check": sound[0].name,
        "clips": {clip.name: clip.source for clip in every},
        "events": {clip.name: clip.melody.events[0].tolist() for clip in every},
    }
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (
            cleanly_ended(),
            tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary,
        ):
            work = Path(temporary) / "study"
            (work / STIMULI).mkdir(parents=True)
            _render(every, work / STIMULI, Path(temporary), plan, render)
            write_atomically(work / PLAN, plan_toml(plan).encode())
            write_atomically(work / KEY, (json.dumps(key) + "\n").encode())
            os.chmod(work / KEY, 0o600)
            os.rename(work, folder)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror})") from None
    read_study(folder)
    trials = "1 pair" if plan.trials == 1 else f"{plan.trials} pairs"
    say(
        f"{folder}: {len(every)} clips of {design.seconds:g} s; a listener hears {trials}, "
        f"{2 * plan.trials * design.seconds / 60:.0f} minutes of music"
    )
    say(f"Read {folder / PLAN}, try it with: rltuner study serve {folder} --preview")


def _name() -> str:
    return secrets.token_hex(16) + SUFFIX


def _clips(
    name: str, source: str, count: int, events: int, seed: int, heard: Set[tuple[int, ...]] = frozenset()
) -> list[Clip]:
    """`count` melodies of a source, drawn at random, but for those that are `heard` elsewhere.

    Raises InputError where it has fewer that can be used.
    """
    melodies = _melodies(source, count + count // 4 + 8, events, seed)
    long_enough = melodies.lengths >= events
    usable = long_enough & melodies.is_onset[:, :events].any(dim=1)
    silent = int((long_enough & ~usable).sum())
    if silent:
        say(f"{source}: {silent} of {len(melodies)} melodies are silent and left out")
    found = [
        index
        for index in torch.randperm(len(melodies), generator=torch.Generator().manual_seed(seed)).tolist()
        if usable[index] and tuple(melodies.events[index, :events].tolist()) not in heard
    ][:count]
    if len(found) < count:
        raise InputError(
            f"{source}: {len(found)} melodies of {events} events or more with a note in them, and the study needs "
            f"{count}; supply more, or lower --items, --pairs, --bars or --catch"
        )
    cut = Melodies(melodies.events[:, :events], None, None, melodies.vocabulary, melodies.meter)
    return [Clip(name, cut[index], _name()) for index in found]


def _melodies(source: str, count: int, events: int, seed: int) -> Melodies:
    """What `read_source` gives, but for a folder of MIDI files, which may hold any pitch here.

    A file ends with its last note. A melody that stops within its last bar is as long as the others, with silence at
    its end; one that stops before is too short.
    """
    path = Path(source)
    holds_checkpoint = any((folder / CONFIG).is_file() for folder in (path, path / "policy"))
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in (".mid", ".midi"))
    if source in [*shipped_checkpoints(), "human"] or holds_checkpoint or not path.is_dir() or not files:
        return read_source(source, count, events, seed=seed).melodies
    rows = []
    for file in files:
        try:
            melody = Melodies.from_midi(file, ANY_PITCH)
        except InputError as error:
            say(f"left out: {error}")
            continue
        row = melody.events[0].tolist()
        silence = events - len(row)
        if 0 < silence < melody.meter.steps_per_bar:
            row += [NOTE_OFF, *[NO_EVENT] * (silence - 1)]
        rows.append(row)
    return Melodies.from_lists(rows, ANY_PITCH)


def _random_notes(count: int, events: int, seed: int) -> Tensor:
    """Events drawn uniformly over all classes, int64 [count, events]: what no listener takes for a tune."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(Vocabulary().size, (count, events), generator=generator)


def _render(every: Sequence[Clip], folder: Path, work: Path, plan: Plan, render: Render | None) -> None:
    """Writes every clip as audio, in the order of the random names, so that no order tells anything either."""
    jobs = []
    for clip in sorted(every, key=lambda clip: clip.name):
        midi = work / f"{clip.name}.mid"
        clip.melody.to_midi(midi, 0, plan.design.qpm)
        jobs.append((midi, folder / clip.name))
    if render is not None:
        render(jobs, plan.design.seconds)
        return
    from rltuner.generating.audio import render as synthesise

    with progress_bar("rendering", len(jobs)) as advance:
        synthesise(jobs, seconds=plan.design.seconds, advance=advance)
