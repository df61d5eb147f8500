"""The files of generated melodies: MIDI always; audio, piano rolls and MusicXML where asked for."""

from __future__ import annotations

from pathlib import Path

from rltuner.console import progress_bar
from rltuner.generating.audio import RELEASE
from rltuner.generating.config import GenerateConfig
from rltuner.melody import STEPS_PER_QUARTER, Melodies
from rltuner.melody.key import Key
from rltuner.melody.midi import write_midi


def write(
    melodies: Melodies, primer: int, folder: Path, config: GenerateConfig, program: int, key: Key
) -> list[dict[str, str]]:
    """Writes melody-0001.mid and so on; the names of each melody's files, by kind ("file" is the MIDI file).

    Args:
      melodies: as they sound.
      primer: steps at the start of each that were heard, not composed.
      folder: to write to.
      config: tempo, and which kinds of files.
      program: General MIDI instrument.
      key: that they sound in.
    """
    digits = max(4, len(str(len(melodies))))
    stems = [f"melody-{number:0{digits}}" for number in range(1, len(melodies) + 1)]
    names = [{"file": f"{stem}.mid"} for stem in stems]
    with progress_bar("writing", len(stems)) as advance:
        for index, stem in enumerate(stems):
            notes = melodies.notes(index)
            write_midi(notes, folder / f"{stem}.mid", config.qpm, melodies.meter, program, key)
            advance(1, None)
    if config.audio:
        _add(names, "audio", stems, config.audio_format)
        _write_audio(melodies, folder, config, stems)
    if config.png:
        _add(names, "png", stems, "png")
        _draw(melodies, primer, folder, config, key, stems)
    if config.musicxml:
        _add(names, "musicxml", stems, "musicxml")
        _write_musicxml(melodies, folder, config, program, key, stems)
    return names


def _add(names: list[dict[str, str]], kind: str, stems: list[str], suffix: str) -> None:
    """Adds the name of each melody's file of that kind, in place."""
    for name, stem in zip(names, stems, strict=True):
        name[kind] = f"{stem}.{suffix}"


def clip_seconds(steps: int, qpm: float) -> float:
    """Length of the audio of a melody of so many sixteenths: until its last note has died away."""
    return steps / STEPS_PER_QUARTER * 60 / qpm + RELEASE


def _write_audio(melodies: Melodies, folder: Path, config: GenerateConfig, stems: list[str]) -> None:
    from rltuner.generating.audio import render

    seconds = clip_seconds(melodies.events.shape[1], config.qpm)
    jobs = [(folder / f"{stem}.mid", folder / f"{stem}.{config.audio_format}") for stem in stems]
    with progress_bar("rendering", len(stems)) as advance:
        render(jobs, seconds=seconds, advance=advance)


def _draw(
    melodies: Melodies, primer: int, folder: Path, config: GenerateConfig, key: Key, stems: list[str]
) -> None:
    from rltuner.melody.plots import plot_piano_roll

    also = " (primer in grey)" if primer else ""
    with progress_bar("drawing", len(stems)) as advance:
        for index, stem in enumerate(stems):
            title = f"{Path(config.source).name}, melody {index + 1}: {key}, {config.qpm:g} quarters a minute{also}"
            picture = plot_piano_roll(melodies, index, title, key.sharps, primer)
            (folder / f"{stem}.png").write_bytes(picture)
            advance(1, None)


def _write_musicxml(
    melodies: Melodies, folder: Path, config: GenerateConfig, program: int, key: Key, stems: list[str]
) -> None:
    from rltuner.melody.musicxml import musicxml

    with progress_bar("MusicXML", len(stems)) as advance:
        for index, stem in enumerate(stems):
            title = f"melody {index + 1}"
            score = musicxml(melodies, index, qpm=config.qpm, sharps=key.sharps, program=program, title=title)
            (folder / f"{stem}.musicxml").write_bytes(score)
            advance(1, None)
