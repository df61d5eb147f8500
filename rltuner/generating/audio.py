"""Audio of MIDI files, from wheels alone: `pip install 'rltuner[audio]'`.

symusic synthesises with TimGM6mb.sf2, the General MIDI font that pretty_midi installs. The font is GPL-licensed:
rltuner uses pretty_midi's copy and bundles none. pyloudnorm measures loudness, soundfile writes.

One channel, 44,100 samples of 16 bits a second. Files are rendered in worker processes (`synthesis`), because
the synthesiser can crash on hostile files.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from rltuner.errors import InputError

SAMPLE_RATE = 44_100
RELEASE = 0.1  # seconds after the last note: the synthesiser ends every note within half of that
MAX_SECONDS = 600.0  # of a clip: more than any listener hears, and memory enough
FORMATS = ("wav", "flac")
FILES_PER_WORKER = 100  # a worker takes a second to start, and renders some hundred files in it
START_SECONDS = 120.0  # for a worker's imports, on a machine that is busy
FILE_SECONDS = 60.0  # for one file: far longer than any takes that the synthesiser does not hang on

Job = tuple[Path, Path]


class _Shape(NamedTuple):
    """What every clip of a call has in common."""

    lufs: float
    fade: float
    seconds: float | None


def render(
    jobs: Sequence[Job],
    *,
    lufs: float = -23.0,
    fade: float = 0.02,
    seconds: float | None = None,
    advance: Callable[[int, str | None], None] | None = None,
) -> None:
    """Renders MIDI files to WAV or FLAC, all equally loud. The same MIDI file gives the same bytes.

    Each clip is synthesised until its last note has died away (0.1 s), cut to `seconds`, faded, padded with silence to
    `seconds`, and brought to `lufs`. Where that would lift its peak above -1 dBFS, the gain is what brings the peak
    there, so that nothing clips: such a clip is quieter than asked. A clip below 0.4 s, BS.1770's block, is measured
    with silence after it. Silence, which BS.1770 counts from -70 LUFS down, stays silence, and so does a file without
    notes.

    Args:
      jobs: (MIDI file, audio file) pairs; the suffix, .wav or .flac, chooses the format. Folders must exist, files are
        replaced, each whole or not at all.
      lufs: integrated loudness by ITU-R BS.1770-4; -23 LUFS is EBU R 128's.
      fade: seconds of the raised-cosine fades in and out.
      seconds: length of every clip; None leaves each its own.
      advance: called with (1, None) after each file, such as `console.progress_bar` gives.

    Raises InputError, which names the file, where one cannot be read, rendered in time or written, or is longer than
    ten minutes; what is rendered by then stays. Also where the packages are missing.
    """
    if not -70 <= lufs <= 0 or not 0 <= fade <= 60:
        raise InputError(f"audio: lufs = {lufs}, fade = {fade}: they lie in [-70, 0] LUFS and [0, 60] s")
    if seconds is not None:
        check_seconds(seconds)
    for midi, audio in jobs:
        if audio.suffix[1:].lower() not in FORMATS:
            raise InputError(f"{audio}: audio is written as .wav or .flac")
        if not midi.is_file():
            raise InputError(f"{midi}: no such file")
    font = check_installed()
    if not jobs:
        return
    count = min(os.cpu_count() or 1, -(-len(jobs) // FILES_PER_WORKER))
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(count):
            worker = stack.enter_context(_Worker(font, _Shape(lufs, fade, seconds)))
            selector.register(worker, selectors.EVENT_READ)
        _work(list(jobs), selector, advance or (lambda done, note: None))


def check_seconds(seconds: float) -> None:
    """InputError for clips of no length, or longer than is rendered."""
    if not 0 < seconds <= MAX_SECONDS:
        raise InputError(
            f"audio: clips of {seconds:.4g} s; they last at most {MAX_SECONDS:.0f} s: shorten them"
        )


def check_installed() -> str:
    """The path of the font; InputError, with the command, where a package that audio needs is missing."""
    for package in ("symusic", "pyloudnorm", "soundfile"):
        if find_spec(package) is None:
            raise InputError(f"audio needs {package}, which is not installed: pip install 'rltuner[audio]'")
    home = find_spec("pretty_midi")
    font = Path(home.origin).parent / "TimGM6mb.sf2" if home and home.origin else None
    if font is None or not font.is_file():
        raise InputError("audio needs TimGM6mb.sf2, which pretty_midi installs: pip install pretty_midi")
    return str(font)


def _work(
    jobs: list[Job], selector: selectors.BaseSelector, advance: Callable[[int, str | None], None]
) -> None:
    """Keeps every worker busy until all files are rendered."""
    waiting = jobs[::-1]
    remaining = len(jobs)
    while remaining:
        workers: list[_Worker] = [key.fileobj for key in selector.get_map().values()]  # type: ignore[misc]
        patience = min(worker.deadline for worker in workers) - time.monotonic()
        for key, _ in selector.select(max(0.0, patience)):
            worker: _Worker = key.fileobj  # type: ignore[assignment]
            if worker.read():
                remaining -= 1
                advance(1, None)
            if waiting:
                worker.give(waiting.pop())
            else:
                selector.unregister(worker)
        for key in selector.get_map().values():
            key.fileobj.check_time()  # type: ignore[union-attr]


def unfinished_name(audio: Path) -> Path:
    """Where a file is written before it gets its name."""
    return audio.with_name(f".{audio.name}.part")


class _Worker:
    """A process that renders one file after another."""

    def __init__(self, font: str, shape: _Shape) -> None:
        self._shape = shape
        self._job: Job | None = None
        self.deadline = time.monotonic() + START_SECONDS
        # -P: a module in the current folder must not take the place of an installed one.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "rltuner.generating.synthesis", font],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        if self._job is not None:
            unfinished_name(self._job[1]).unlink(missing_ok=True)

    def fileno(self) -> int:
        """Descriptor of the pipe that answers come through: what a selector waits on."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def give(self, job: Job) -> None:
        """Asks for the next file."""
        assert self._process.stdin is not None
        self._job, self.deadline = job, time.monotonic() + FILE_SECONDS
        request = {"midi": str(job[0]), "audio": str(job[1]), **self._shape._asdict()}
        try:
            self._process.stdin.write((json.dumps(request) + "\n").encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it died since its last answer: the end of its pipe says so

    def read(self) -> bool:
        """Reads an answer. True where a file is rendered, False for the first one, which says that the worker is ready.

        Raises InputError where the answer is an error, or the worker has crashed.
        """
        assert self._process.stdout is not None
        job = self._job
        line = self._process.stdout.readline()
        if not line:
            self._fail("crashed the synthesiser")
        error = json.loads(line)["error"]
        if error is not None:
            raise InputError(error if job else f"audio: the synthesiser does not start ({error})")
        self._job = None
        return job is not None

    def check_time(self) -> None:
        """InputError where the answer is overdue."""
        if time.monotonic() > self.deadline:
            self._fail(f"not rendered within {FILE_SECONDS:g} s")

    def _fail(self, what: str) -> None:
        if self._job is None:
            raise InputError("audio: the synthesiser does not start")
        raise InputError(f"{self._job[0]}: {what}; is it a MIDI file of one melody?")
