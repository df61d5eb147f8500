"""The worker process of `audio`: MIDI files to sound, one at a time, as they are asked for on standard input.

symusic can crash on hostile files, and what crashes here takes nothing else along. torch is not imported.

A request is a line of JSON, {"midi", "audio", "lufs", "fade", "seconds"}; so is the answer, {"error": null or a
sentence}. Before the first request one answer tells that all is ready.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rltuner.generating.audio import MAX_SECONDS, RELEASE, SAMPLE_RATE, unfinished_name
from rltuner.generating.loudness import BLOCK, Samples, loudness_meter

HIGHEST_PEAK = 10 ** (-1 / 20)  # -1 dBFS

# Filtering makes and drops arrays of a megabyte. glibc hands such memory back to the kernel, which costs more than the
# arithmetic, until it has seen one larger block freed; this one is never touched, so it takes no memory.
np.empty(31 << 20, dtype=np.uint8)


class Renderer:
    """A synthesiser with its font and a loudness meter; what it renders does not depend on what it rendered before."""

    def __init__(self, font: str) -> None:
        import symusic

        self._symusic = symusic
        self._synthesizer = symusic.Synthesizer(sf_path=font, sample_rate=SAMPLE_RATE)
        self._loudness = loudness_meter(SAMPLE_RATE)

    def clip(self, midi: str, lufs: float, fade: float, seconds: float | None) -> NDArray[np.int16]:
        """One channel of 16-bit samples; see `audio.render`. ValueError where a file is too long."""
        sound = faded(self._sound(midi, seconds), fade)
        if seconds is not None:
            sound = padded(sound, round(seconds * SAMPLE_RATE))
        return np.rint(levelled(sound, lufs, self._loudness) * 32767).astype(np.int16)

    def _sound(self, midi: str, seconds: float | None) -> Samples:
        """What the file sounds like until its last note has died away, but at most `seconds`."""
        score = self._symusic.Score(midi).to("second")
        end = max((note.time + note.duration for track in score.tracks for note in track.notes), default=None)
        if end is None:
            return np.zeros(round(RELEASE * SAMPLE_RATE), np.float32)
        if not 0 <= end <= MAX_SECONDS:
            raise ValueError(f"{end:.0f} s long; at most {MAX_SECONDS:.0f} s are rendered")
        # The synthesiser stops with the last note's end: a note of velocity 0 keeps it going.
        first = next(track for track in score.tracks if track.notes)
        first.notes.append(self._symusic.Note(end + RELEASE, 0.01, 60, 0, ttype="second"))
        sound = np.array(self._synthesizer.render(score, stereo=False)[0], np.float32)
        samples = round((end + RELEASE) * SAMPLE_RATE)
        return padded(sound, samples if seconds is None else min(samples, round(seconds * SAMPLE_RATE)))


def padded(sound: Samples, samples: int) -> Samples:
    """The first `samples` of a sound, with silence at the end where it is shorter."""
    return np.pad(sound[:samples], (0, max(0, samples - len(sound))))


def faded(sound: Samples, seconds: float) -> Samples:
    """Raised-cosine fades at both ends, each at most half of the sound."""
    samples = min(round(seconds * SAMPLE_RATE), len(sound) // 2)
    if not samples:
        return sound
    ramp = (0.5 - 0.5 * np.cos(np.pi * (np.arange(samples) + 0.5) / samples)).astype(np.float32)
    ends = np.ones_like(sound)
    ends[:samples], ends[-samples:] = ramp, ramp[::-1]
    return sound * ends


def levelled(sound: Samples, lufs: float, loudness: Callable[[Samples], float]) -> Samples:
    """The sound at `lufs`, or at what brings its peak to -1 dBFS, whichever is lower. Silence stays silence."""
    now = loudness(padded(sound, max(len(sound), round(BLOCK * SAMPLE_RATE))))
    if now == -np.inf:
        return np.zeros_like(sound)
    gain = min(10 ** ((lufs - now) / 20), HIGHEST_PEAK / float(np.abs(sound).max()))
    return sound * np.float32(gain)


def write(clip: NDArray[np.int16], audio: Path) -> None:
    """Writes WAV or FLAC by the suffix: whole or not at all. OSError where it cannot be written."""
    import soundfile

    content = io.BytesIO()  # libsndfile's own writing does not say why it fails
    soundfile.write(content, clip, SAMPLE_RATE, subtype="PCM_16", format=audio.suffix[1:].upper())
    unfinished = unfinished_name(audio)
    try:
        unfinished.write_bytes(content.getbuffer())
        os.replace(unfinished, audio)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def main(font: str) -> None:
    """Answers requests until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer

    def answer(error: str | None) -> None:
        answers.write(json.dumps({"error": error}) + "\n")
        answers.flush()

    try:
        import soundfile  # noqa: F401  (not while the first file waits)

        renderer = Renderer(font)
    except Exception as error:
        answer(_sentence(error))
        return
    answer(None)
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        try:
            clip = renderer.clip(request["midi"], request["lufs"], request["fade"], request["seconds"])
        except Exception as error:  # the parser of broken files and the synthesiser raise anything
            answer(f"{request['midi']}: cannot be rendered ({_sentence(error)})")
            continue
        try:
            write(clip, Path(request["audio"]))
        except Exception as error:
            answer(f"{request['audio']}: cannot be written ({_sentence(error)})")
            continue
        answer(None)


def _sentence(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:160] or type(error).__name__


if __name__ == "__main__":
    main(sys.argv[1])
