"""Files of a corpus: which there are, and the tunes to parse in them."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from rltuner.errors import InputError, suggest
from rltuner.reading.abc.text import abc_tunes, decoded
from rltuner.reading.parse import KINDS, MAX_FILE_BYTES, PARSER_VERSION, Item, Parsed, kind_of

# Folders of the corpus that music21 installs.
NAMED = {"tunebooks": ("oneills1850", "ryansMammoth"), "airds": ("airdsAirs",), "essen": ("essenFolksong",)}


def files_of(name: str) -> list[tuple[str, Path]]:
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


def items_of(files: Sequence[tuple[str, Path]]) -> tuple[list[Item], list[Parsed], str]:
    """(items to parse, files that could not be read, key of the cache).

    The key is the SHA-256, hexadecimal, of the parser's and music21's version and of every file's name and content.
    """
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
        if unreadable and unreadable[-1].source == source:
            continue
        kind = kind_of(path, data) or KINDS[path.suffix.lower()]
        if kind != "abc":
            items.append(Item(kind, source, os.fspath(path)))
            continue
        try:
            tunes = abc_tunes(decoded(data))
        except InputError as error:
            unreadable.append(Parsed(source, "broken", detail=str(error)))
            continue
        items += [
            Item(kind, f"{source} #{tune.number}" if len(tunes) > 1 else source, tune.text, tune.line)
            for tune in tunes
        ]
    return items, unreadable, digest.hexdigest()
