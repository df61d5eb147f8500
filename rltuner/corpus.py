"""Corpora: named collections of tunes, or a folder of them, parsed in parallel and cached.

`load_corpus` reads, `split_tunes` divides. What becomes of a note is in `rltuner.parse` and the modules that it
names, and, in words and with the counts, in docs/corpus.md.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rltuner.abc_notation import split_abc
from rltuner.console import progress_bar, say
from rltuner.errors import InputError
from rltuner.melody import Vocabulary
from rltuner.parse import PARSER_VERSION, SECONDS, Item, Parsed, parse_item, unfinished
from rltuner.rules.rule import suggest
from rltuner.run_state import locked
from rltuner.tunes import Tune, load_tunes, save_tunes
from rltuner.workers import Failed, WorkersCannotStartError, map_guarded

# Folders of the corpus that music21 installs.
NAMED = {"tunebooks": ("oneills1850", "ryansMammoth"), "airds": ("airdsAirs",), "essen": ("essenFolksong",)}

TERMS: dict[str, str] = {
    "airds": (
        "Aird's Airs: James Aird's six books (Glasgow, from 1778), transcribed by Jack Campin, 2009 "
        "(www.campin.me.uk), as installed with music21. The prints are in the public domain. The transcriber "
        "is named, a licence is not: credit him, and ask before you redistribute it or a model trained on it."
    ),
    "essen": (
        "Essen folksong collection: encoded under Helmut Schaffrath, continued by Ewa Dahlig-Turek, put into "
        "ABC by Seymour Schlien, as installed with music21. Distributed by permission for NON-COMMERCIAL "
        "use; the legal status of the database is unclear, since many people entered the data. Do not use "
        "it, or a model trained on it, commercially."
    ),
}
"""What is printed whenever such a corpus is loaded."""

KINDS = {
    ".abc": "abc",
    ".mid": "midi",
    ".midi": "midi",
    ".musicxml": "musicxml",
    ".mxl": "musicxml",
    ".xml": "musicxml",
}
MAX_FILE_BYTES = 10_000_000  # the parsers have tighter limits
SERIAL = 64  # with no more items than this, starting processes takes longer than parsing
OPENING = 16  # onsets by which near-duplicates are told
SHARES = {"train": 0.8, "validation": 0.9, "test": 1.0}  # where each part ends


@dataclass(frozen=True)
class Corpus:
    """Parsed tunes, and an account of everything that is not among them."""

    name: str
    """As given: "tunebooks", or the folder."""
    tunes: list[Tune]
    """In the order of the files."""
    counts: dict[str, int]
    """How many tunes were "found", "kept", "broken", dropped ("dropped: off the grid") or marked."""
    broken: list[str]
    """What could not be read: "file: reason", a line each."""

    def summary(self) -> str:
        """The counts in one line."""
        return f"corpus {self.name}: " + ", ".join(f"{name} {count}" for name, count in self.counts.items())


def load_corpus(
    name_or_folder: str | os.PathLike[str],
    *,
    vocabulary: Vocabulary | None = None,
    jobs: int | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    progress: bool = True,
    quiet: bool = False,
) -> Corpus:
    """All tunes of a corpus: from the cache where the same files were parsed before, else parsed now.

    Args:
      name_or_folder: "tunebooks", "airds" or "essen", or a folder (read with its subfolders) of ABC, MusicXML
        and MIDI files. A folder that is called like a corpus: write ./essen.
      vocabulary: tunes that fit into it in no octave are dropped.
      jobs: processes; default one a CPU core.
      cache_dir: the user's cache directory where not given.
      progress: a progress bar on standard error.
      quiet: prints no counts and no names of broken files. Terms are printed all the same.

    Raises InputError: no such corpus or folder, no file to read in it, no usable tune.
    """
    name, vocabulary = os.fspath(name_or_folder), vocabulary if vocabulary is not None else Vocabulary()
    files = _files(name)
    if name in TERMS:
        say(f"terms of {name}: {TERMS[name]}")
    items, unreadable, key = _read(files)
    cached = _cache_file(cache_dir, name, f"{key} {vocabulary.min_pitch} {vocabulary.max_pitch}")
    corpus = _from_cache(cached, name)
    if corpus is None:
        with _cache_lock(cached) as is_kept:
            # Another process may have parsed the same meanwhile.
            corpus = _from_cache(cached, name) if is_kept else None
            if corpus is None:
                results = [*unreadable, *_parse(items, vocabulary, jobs, progress)]
                corpus = _collect(name, results)
                if untried := sum(not result.is_final for result in results):
                    say(
                        f"warning: {untried} of {len(results)} tunes ran out of time or memory, so the parsed corpus is "
                        "not cached; they are tried again next time"
                    )
                elif is_kept:
                    _to_cache(cached, corpus)
    if not quiet:
        say(corpus.summary())
        for line in corpus.broken:
            say(f"broken: {line}")
    if not corpus.tunes:
        raise InputError(
            f"corpus {name}: no usable tune ({corpus.summary().partition(': ')[2]}); "
            "give a folder with ABC, MusicXML or MIDI melodies"
        )
    return corpus


def split_tunes(tunes: Sequence[Tune], seed: int = 0) -> dict[str, list[Tune]]:
    """The tunes as "train", "validation" and "test", about 80/10/10 by tune.

    Near-duplicates, tunes with the same intervals between their first 16 onsets (all of them, where there are
    fewer), stay together. Groups are shuffled by a hash of the seed and those intervals, so that the order of
    the input does not matter; each part comes sorted by source. With few groups a part can be empty; a single
    group goes to "train".
    """
    groups: dict[tuple[int, ...], list[Tune]] = {}
    for tune in sorted(tunes, key=lambda t: (t.source, t.title, t.events)):
        groups.setdefault(opening(tune), []).append(tune)
    shuffled = sorted(groups, key=lambda o: hashlib.sha256(f"{seed} {o}".encode()).digest())
    parts: dict[str, list[Tune]] = {name: [] for name in SHARES}
    # One stretch of the shuffled groups a part, so that a few more or fewer tunes move few to another part.
    taken = 0
    for group in shuffled:
        middle = (taken + len(groups[group]) / 2) / len(tunes)
        part = next(name for name, end in SHARES.items() if middle < end)
        parts[part] += groups[group]
        taken += len(groups[group])
    return {name: sorted(part, key=lambda t: (t.source, t.title, t.events)) for name, part in parts.items()}


def opening(tune: Tune) -> tuple[int, ...]:
    """The intervals, in semitones, between the tune's first 16 onsets: what near-duplicates share."""
    return tune.intervals[: OPENING - 1]


def _files(name: str) -> list[tuple[str, Path]]:
    """(source, path) of every file to read, sorted by source."""
    if name in NAMED:
        spec = importlib.util.find_spec("music21")  # found, not imported: an import takes seconds
        root = Path(next(iter((spec and spec.submodule_search_locations) or [""]))) / "corpus"
        files = [path for folder in NAMED[name] for path in (root / folder).glob("*.abc")]
        if not files:
            raise InputError(
                f"corpus {name}: not in this installation of music21; reinstall music21 with its corpus"
            )
    else:
        root = Path(name)
        if not root.is_dir():
            what = "a file, not a folder" if root.exists() else "no such corpus or folder"
            raise InputError(f"corpus {name}: {what}; {suggest(name.lower(), list(NAMED))}, or give a folder")
        files = [path for path in root.rglob("*") if path.suffix.lower() in KINDS and path.is_file()]
        if not files:
            raise InputError(
                f"corpus {name}: no file in it ends in {', '.join(KINDS)}; give a folder of such files"
            )
    return sorted((path.relative_to(root).as_posix(), path) for path in files)


def _read(files: Sequence[tuple[str, Path]]) -> tuple[list[Item], list[Parsed], str]:
    """The items to parse, what could not be read, and the hash of all of it."""
    digest = hashlib.sha256(f"{PARSER_VERSION} music21 {version('music21')}".encode())
    items, unreadable = [], []
    for source, path in files:
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise OSError(f"it has more than {MAX_FILE_BYTES:,} bytes")
            data = path.read_bytes()
        except OSError as error:
            unreadable.append(Parsed(source, "broken", detail=error.strerror or str(error)))
            data = b""
        digest.update(f"\0{source}\0{len(data)}\0".encode(errors="surrogateescape") + data)
        kind = KINDS[path.suffix.lower()]
        if unreadable and unreadable[-1].source == source:
            continue
        if kind != "abc":
            items.append(Item(kind, source, os.fspath(path)))
            continue
        try:
            tunes = split_abc(_decode(data))
        except InputError as error:
            unreadable.append(Parsed(source, "broken", detail=str(error)))
            continue
        numbers = [tune.partition("\n")[0].removeprefix("X:").strip() for tune in tunes]
        items += [
            Item(kind, f"{source} #{number}" if len(tunes) > 1 else source, tune)
            for number, tune in zip(numbers, tunes, strict=True)
        ]
    return items, unreadable, digest.hexdigest()


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # what old ABC files are in; never fails


def _parse(
    items: Sequence[Item], vocabulary: Vocabulary, jobs: int | None, progress: bool
) -> Iterator[Parsed]:
    """Parses the items in their order, in `jobs` processes; what takes too long or too much memory is broken."""
    jobs = min(jobs or os.cpu_count() or 1, len(items))
    with progress_bar("parsing", len(items)) if progress else nullcontext() as advance:
        results: Iterator[list[Parsed] | Failed] = (parse_item(item, vocabulary) for item in items)
        if len(items) > SERIAL:
            from rltuner.parse_worker import parse_task  # imports every parser, also here

            tasks = [(item, vocabulary) for item in items]
            # Twice the parser's own limit, which says more: the process is killed only where that could not act.
            results = map_guarded(parse_task, tasks, jobs, 2 * SECONDS)
        done = 0
        while done < len(items):
            try:
                result = next(results)
            except WorkersCannotStartError:
                say("warning: the parsing processes cannot start; parsing goes on in this one")
                results = (parse_item(item, vocabulary) for item in items)
                continue
            if isinstance(result, Failed):
                result = [unfinished(items[done], f"it {result.reason}")]
            yield from result
            done += 1
            if advance is not None:
                advance(1, None)


def _collect(name: str, results: Sequence[Parsed]) -> Corpus:
    tally: Counter[str] = Counter()
    for result in results:
        known = result.outcome in ("kept", "broken")
        tally[result.outcome if known else f"dropped: {result.outcome}"] += 1
        tally.update(result.marks)
    tunes = [result.tune for result in results if result.tune is not None]
    counts = {"found": len(results), "kept": tally.pop("kept", 0), "broken": tally.pop("broken", 0)}
    counts |= dict(sorted(tally.items()))
    broken = [f"{result.source}: {result.detail}" for result in results if result.outcome == "broken"]
    return Corpus(name, tunes, counts, broken)


def _cache_file(cache_dir: str | os.PathLike[str] | None, name: str, key: str) -> Path:
    import platformdirs

    folder = Path(cache_dir) if cache_dir is not None else Path(platformdirs.user_cache_dir("rltuner"))
    label = name if name in NAMED else "folder"
    return folder / f"corpus-{label}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.safetensors"


def _from_cache(file: Path, name: str) -> Corpus | None:
    """The cached corpus; None where there is none, or it is damaged (then it is parsed again)."""
    try:
        tunes, info = load_tunes(file)
        counts = {str(reason): int(count) for reason, count in info["counts"].items()}
        return Corpus(name, tunes, counts, [str(line) for line in info["broken"]])
    except (InputError, KeyError, AttributeError, TypeError, ValueError):
        return None


@contextmanager
def _cache_lock(file: Path) -> Iterator[bool]:
    """Held while the corpus of that cache file is parsed, so that it is parsed once; whether it can be cached at all."""
    with ExitStack() as stack:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(file.parent, "parses the same corpus", f".{file.stem}.lock"))
            is_kept = True
        except (OSError, InputError) as error:
            say(f"warning: the parsed corpus could not be cached ({error}); it is parsed again next time")
            is_kept = False
        yield is_kept


def _to_cache(file: Path, corpus: Corpus) -> None:
    try:
        save_tunes(file, corpus.tunes, {"counts": corpus.counts, "broken": corpus.broken})
    except (OSError, InputError) as error:
        say(f"warning: the parsed corpus could not be cached ({error}); it is parsed again next time")
