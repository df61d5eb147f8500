"""Bars of real music by the name of a corpus, or from a folder: read once, counted, cached.

`chorales` are the polyphonic files of Bach that music21 installs, `tunebooks` O'Neill's and Ryan's (one voice, in C
already). Neither needs a download.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from rltuner.console import progress_bar, say
from rltuner.corpus.corpora import load_corpus
from rltuner.corpus.workers import Failed, WorkersCannotStartError, map_guarded
from rltuner.errors import InputError
from rltuner.launchpad.board.beats import Array, Board
from rltuner.launchpad.choices import BarOptions
from rltuner.launchpad.music.bars import bars_of
from rltuner.launchpad.music.pieces import MIDI, XML, Piece
from rltuner.launchpad.music.tasks import Read, read_bars
from rltuner.melody.tunes import Tune
from rltuner.storing.atomic import write_atomically

TERMS = (
    "chorales: Bach's are in the public domain; the files, edited by Margaret Greentree, are installed with music21, by "
    "permission of those who encoded them. No licence is stated: credit them."
)
VERSION = 1  # raise it with every change that alters a bar, so that cached bars are read again
SECONDS = 30.0  # of CPU time a file
SERIAL = 8  # with no more files than this, starting processes takes longer than reading
LARGEST = 10_000_000  # bytes of a file; the readers have tighter limits
MOST_BARS = 2_000_000  # 384 MB
PER_SIXTEENTH = 4


@dataclass(frozen=True)
class BarCorpus:
    """Bars, and an account of all that is not among them."""

    name: str
    words: Array
    """uint64 [M, N], each bar once, in the order of the files."""
    counts: dict[str, int]
    """Files or tunes "found", "bars" kept, and what was left out, by reason."""
    broken: list[str]
    """What could not be read: "file: reason", a line each."""

    def summary(self) -> str:
        """The counts in one line."""
        return f"{self.name}: " + ", ".join(f"{name} {count:,}" for name, count in self.counts.items())


def load_bars(
    name_or_folder: str,
    board: Board | None = None,
    options: BarOptions | None = None,
    *,
    jobs: int = 0,
    cache_dir: Path | None = None,
    quiet: bool = False,
) -> BarCorpus:
    """The bars of `chorales`, `tunebooks`, or a folder of MIDI and MusicXML files, read with its subfolders.

    Args:
      board: with bars of 64 steps; the usual one where not given.
      jobs: processes; 0 takes every core.
      cache_dir: the user's cache directory where not given.
      quiet: prints no counts.

    Raises InputError: no such corpus or folder, no file to read in it, no usable bar, bars of another length.
    """
    board = board if board is not None else Board()
    options = options if options is not None else BarOptions()
    if board.steps != 64:
        raise InputError(f"bars of {board.steps} steps: bars of music have 64; give a board of 6 levels")
    if name_or_folder == "tunebooks":
        corpus = _of_tunes(load_corpus("tunebooks", jobs=jobs or None, quiet=True).tunes, board, options)
    else:
        corpus = _of_files(name_or_folder, board, options, jobs, cache_dir)
    if not quiet:
        if name_or_folder == "chorales":
            say(f"terms of {TERMS}")
        say(corpus.summary())
        for line in corpus.broken:
            say(f"left out: {line}")
    if not len(corpus.words):
        raise InputError(
            f"corpus {name_or_folder}: no usable bar ({corpus.summary().partition(': ')[2]}); give a folder of MIDI or "
            "MusicXML files in 4/4, or lower --least-cells"
        )
    return corpus


def _of_tunes(tunes: Sequence[Tune], board: Board, options: BarOptions) -> BarCorpus:
    """The bars of tunes in 4/4, which are in C already."""
    rows: list[Array] = []
    tally: Counter[str] = Counter()
    for tune in tunes:
        words, left_out = bars_of(_piece_of(tune), board, options)
        rows.append(words)
        tally.update(left_out)
    return _collected("tunebooks", rows, tally, [], len(tunes), "tunes", board)


def _piece_of(tune: Tune) -> Piece:
    """A tune as a piece: an event is a sixteenth, four steps."""
    if tune.meter.steps_per_bar * PER_SIXTEENTH != 64:
        return Piece([], [], len(tune.events) // tune.meter.steps_per_bar, 0)
    notes: list[tuple[float, float, int]] = []
    begun: tuple[int, int] | None = None
    for place, event in enumerate([*tune.events, 0]):
        if event == 1:  # it goes on
            continue
        if begun is not None:
            notes.append((begun[0] * PER_SIXTEENTH, place * PER_SIXTEENTH, begun[1]))
        begun = (place, event + 46) if event >= 2 else None
    return Piece(notes, [float(b * PER_SIXTEENTH) for b in range(0, len(tune.events), 16)], 0, 0)


def _of_files(name: str, board: Board, options: BarOptions, jobs: int, cache_dir: Path | None) -> BarCorpus:
    files = _files(name)
    digest = hashlib.sha256(f"{VERSION} music21 {version('music21')} {board} {asdict(options)}".encode())
    for source, path in files:
        data = path.read_bytes() if path.stat().st_size <= LARGEST else b""
        digest.update(f"\0{source}\0{len(data)}\0".encode(errors="surrogateescape") + data)
    cached = _cache_file(cache_dir, name, digest.hexdigest())
    corpus = _from_cache(cached, name, board)
    if corpus is not None:
        return corpus
    rows: list[Array] = []
    tally: Counter[str] = Counter()
    broken: list[str] = []
    for (source, _), read in zip(
        files, _read([str(path) for _, path in files], board, options, jobs), strict=True
    ):
        if read.words is None:
            broken.append(f"{source}: {read.broken}")
            continue
        rows.append(read.words)
        tally.update(read.left_out)
        tally["files whose tempo was estimated"] += bool(read.qpm)
    corpus = _collected(name, rows, tally, broken, len(files), "files", board)
    _to_cache(cached, corpus)
    return corpus


def _files(name: str) -> list[tuple[str, Path]]:
    """(source, path) of every file to read, sorted by source."""
    if name == "chorales":
        spec = importlib.util.find_spec("music21")  # found, not imported: an import takes seconds
        root = Path(next(iter((spec and spec.submodule_search_locations) or [""]))) / "corpus" / "bach"
        files = list(root.glob("*.mxl"))
        if not files:
            raise InputError(
                "corpus chorales: not in this installation of music21; reinstall music21 with its corpus"
            )
    else:
        root = Path(name)
        if not root.is_dir():
            what = "a file, not a folder" if root.exists() else "no such corpus or folder"
            raise InputError(f"corpus {name}: {what}; use chorales, tunebooks, or give a folder")
        files = [path for path in root.rglob("*") if path.suffix.lower() in (*MIDI, *XML) and path.is_file()]
        if not files:
            raise InputError(f"corpus {name}: no file in it ends in {', '.join((*MIDI, *XML))}")
    return sorted((path.relative_to(root).as_posix(), path) for path in files)


def _read(paths: list[str], board: Board, options: BarOptions, jobs: int) -> Iterator[Read]:
    """What became of each file, in their order; guarded processes read many."""
    tasks = [(path, board, options) for path in paths]
    with progress_bar("reading", len(tasks)) as advance:
        results: Iterator[Read | Failed] = map(read_bars, tasks)
        if len(tasks) > SERIAL:
            results = map_guarded(read_bars, tasks, min(jobs or os.cpu_count() or 1, len(tasks)), SECONDS)
        done = 0
        while done < len(tasks):
            try:
                result = next(results)
            except WorkersCannotStartError:
                say("warning: the reading processes cannot start; reading goes on in this one")
                results = map(read_bars, tasks)
                continue
            yield result if isinstance(result, Read) else Read(None, Counter(), f"it {result.reason}")
            done += 1
            advance(1, None)


def _collected(
    name: str, rows: list[Array], tally: Counter[str], broken: list[str], found: int, what: str, board: Board
) -> BarCorpus:
    words = np.concatenate(rows) if rows else np.empty((0, board.notes), dtype=np.uint64)
    if len(words) > MOST_BARS:
        raise InputError(
            f"corpus {name}: {len(words):,} bars, more than {MOST_BARS:,}; give a smaller folder"
        )
    _, first = np.unique(words, axis=0, return_index=True)
    kept = words[np.sort(first)]
    counts = {f"{what} found": found, "bars": len(kept), "the same again": len(words) - len(kept)}
    counts |= {reason: count for reason, count in sorted(tally.items()) if count}
    if broken:
        counts["broken"] = len(broken)
    return BarCorpus(name, kept, counts, broken)


def _cache_file(cache_dir: Path | None, name: str, key: str) -> Path:
    import platformdirs

    folder = cache_dir if cache_dir is not None else Path(platformdirs.user_cache_dir("rltuner"))
    label = name if name == "chorales" else "folder"
    return folder / f"bars-{label}-{key[:16]}.safetensors"


def _from_cache(file: Path, name: str, board: Board) -> BarCorpus | None:
    """The cached bars; None where there are none, or the file is damaged (then they are read again)."""
    from safetensors import safe_open

    try:
        with safe_open(os.fspath(file), framework="np") as opened:
            info = json.loads((opened.metadata() or {})["rltuner"])
            words = opened.get_tensor("words").astype(np.uint64)
        if words.ndim != 2 or words.shape[1] != board.notes:
            return None
        counts = {str(reason): int(count) for reason, count in info["counts"].items()}
        return BarCorpus(name, words, counts, [str(line) for line in info["broken"]])
    except Exception:  # not there, or damaged in any way
        return None


def _to_cache(file: Path, corpus: BarCorpus) -> None:
    from safetensors.numpy import save

    info = json.dumps({"counts": corpus.counts, "broken": corpus.broken})
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, save({"words": corpus.words}, {"rltuner": info}))
    except OSError as error:
        say(f"warning: the bars could not be cached ({error}); they are read again next time")
