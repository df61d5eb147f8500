"""Corpora: named collections of tunes, or a folder of them, parsed in parallel and cached.

`load_corpus` reads one; `corpus.split.split_tunes` divides it for training. What becomes of a note is in
`rltuner.reading.parse` and the modules that it names, and, in words and with the counts, in docs/corpus.md.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from rltuner.console import progress_bar, say
from rltuner.corpus.files import NAMED, files_of, items_of
from rltuner.corpus.workers import Failed, WorkersCannotStartError, map_guarded
from rltuner.errors import InputError
from rltuner.melody import Vocabulary
from rltuner.melody.tunes import Tune, load_tunes, save_tunes
from rltuner.reading.parse import SECONDS, Item, Parsed, parse_item, unfinished
from rltuner.storing.run_folders import locked

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
"""Terms of use, by the name of the corpus: printed whenever it is loaded."""

SERIAL = 64  # with no more items than this, starting processes takes longer than parsing


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
    left_out: list[str] = field(default_factory=list)
    """Every tune that is not among the tunes, broken or dropped: "file: reason", a line each."""

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
    files = files_of(name)
    if name in TERMS:
        say(f"terms of {name}: {TERMS[name]}")
    items, unreadable, key = items_of(files)
    cached = _cache_file(cache_dir, name, f"{key} {vocabulary.min_pitch} {vocabulary.max_pitch}")
    corpus = _from_cache(cached, name, vocabulary)
    if corpus is None:
        with _cache_lock(cached) as is_kept:
            # Another process may have parsed the same meanwhile.
            corpus = _from_cache(cached, name, vocabulary) if is_kept else None
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


def _parse(
    items: Sequence[Item], vocabulary: Vocabulary, jobs: int | None, progress: bool
) -> Iterator[Parsed]:
    """Parses the items in their order, in `jobs` processes; what takes too long or too much memory is broken."""
    jobs = min(jobs or os.cpu_count() or 1, len(items))
    with progress_bar("parsing", len(items)) if progress else nullcontext() as advance:
        results: Iterator[list[Parsed] | Failed] = (parse_item(item, vocabulary) for item in items)
        if len(items) > SERIAL:
            from rltuner.corpus.parse_worker import parse_task  # imports every parser, also here

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
    """The tunes that were kept, with outcomes and marks counted."""
    tally: Counter[str] = Counter()
    for result in results:
        known = result.outcome in ("kept", "broken")
        tally[result.outcome if known else f"dropped: {result.outcome}"] += 1
        tally.update(result.marks)
    tunes = [result.tune for result in results if result.tune is not None]
    counts = {"found": len(results), "kept": tally.pop("kept", 0), "broken": tally.pop("broken", 0)}
    counts |= dict(sorted(tally.items()))
    broken = [f"{result.source}: {result.detail}" for result in results if result.outcome == "broken"]
    left_out = [
        f"{result.source}: {result.detail or result.outcome}" for result in results if result.tune is None
    ]
    return Corpus(name, tunes, counts, broken, left_out)


def _cache_file(cache_dir: str | os.PathLike[str] | None, name: str, key: str) -> Path:
    import platformdirs

    folder = Path(cache_dir) if cache_dir is not None else Path(platformdirs.user_cache_dir("rltuner"))
    label = name if name in NAMED else "folder"
    return folder / f"corpus-{label}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.safetensors"


def _from_cache(file: Path, name: str, vocabulary: Vocabulary) -> Corpus | None:
    """The cached corpus; None where there is none, or it is damaged (then it is parsed again)."""
    try:
        tunes, info = load_tunes(file)
        if any(max((*tune.pickup, *tune.events), default=0) >= vocabulary.size for tune in tunes):
            return None
        counts = {str(reason): int(count) for reason, count in info["counts"].items()}
        broken, left_out = ([str(line) for line in info[key]] for key in ("broken", "left_out"))
        return Corpus(name, tunes, counts, broken, left_out)
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
        save_tunes(
            file,
            corpus.tunes,
            {"counts": corpus.counts, "broken": corpus.broken, "left_out": corpus.left_out},
        )
    except (OSError, InputError) as error:
        say(f"warning: the parsed corpus could not be cached ({error}); it is parsed again next time")
