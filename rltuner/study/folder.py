"""The folder of a study: what lies in it, how it is frozen, and how a change is noticed.

study.toml       the plan; yours to edit until the study starts
stimuli/*.flac   the clips, under random names
key.json         private: which clip is whose, and the secret for recruiting ids; never served
frozen.json      from the first start on: the SHA-256 of each of these, and one of them all
answers.sqlite   the answers
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rltuner.errors import InputError
from rltuner.storing.atomic import write_atomically
from rltuner.study.plan import Plan
from rltuner.study.plan_file import read_plan
from rltuner.study.schedule import Items
from rltuner.version import __version__

FORMAT = 1
PLAN, KEY, FROZEN, STIMULI = "study.toml", "key.json", "frozen.json", "stimuli"
ANSWERS, SIMULATED = "answers.sqlite", "simulated.sqlite"
HUMAN_CATCH, RANDOM_CATCH, SOUND_CHECK = "catch: human", "catch: random notes", "sound check"


@dataclass(frozen=True)
class Study:
    """A study as it lies in its folder, checked."""

    folder: Path
    plan: Plan
    items: Items
    source_of: Mapping[str, str]
    """The source of each clip, by the clip's name; HUMAN_CATCH, RANDOM_CATCH or SOUND_CHECK for clips of no source."""
    sound_check: str
    """The clip of the volume check."""
    secret: bytes
    """Keys the hashes of recruiting ids."""
    hashes: Mapping[str, str]
    """SHA-256 of each file that is frozen, by its path in the folder, hexadecimal."""
    digest: str
    """SHA-256 over the hashes of all files that are frozen, hexadecimal."""

    def clip_file(self, clip: str) -> Path:
        """Where a clip lies. KeyError for a name that is not one of the study's."""
        if clip not in self.source_of:
            raise KeyError(clip)
        return self.folder / STIMULI / clip


def read_study(folder: Path) -> Study:
    """The study in a folder.

    Raises InputError, naming the file, where something is missing or broken, where the plan does not fit the clips, or
    where a file has changed since the study was frozen.
    """
    for name in (PLAN, KEY):
        if not (folder / name).is_file():
            raise InputError(
                f"{folder}: not a study ({name} is missing); make one with rltuner study new {folder}"
            )
    hashes = hashes_of(folder)
    digest = _digest(hashes)
    _check_unchanged(folder, hashes, digest)
    plan = read_plan(folder / PLAN)
    try:
        key = json.loads((folder / KEY).read_text(encoding="utf-8"))
        if key["format"] != FORMAT:
            raise InputError(
                f"{folder / KEY}: format {key['format']!r}; this version reads format {FORMAT}: make the study anew"
            )
        clips = {str(name): str(source) for name, source in key["clips"].items()}
        contrasts: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for item in key["items"]:
            a, b = (str(clip) for clip in item)
            contrasts.setdefault((clips[a], clips[b]), []).append((a, b))
        items = Items(
            contrasts,
            [str(clip) for clip in key["identical"]],
            [(str(human), str(noise)) for human, noise in key["random_notes"]],
        )
        sound_check, secret, made_for = str(key["sound_check"]), bytes.fromhex(key["secret"]), key["design"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{folder / KEY}: damaged; restore it, or make the study anew") from None
    _check_fits(folder, plan, made_for, items)
    missing = [name for name in clips if f"{STIMULI}/{name}" not in hashes]
    if missing:
        raise InputError(f"{folder / STIMULI / missing[0]}: the clip is missing; restore it")
    return Study(folder, plan, items, clips, sound_check, secret, hashes, digest)


def _check_fits(folder: Path, plan: Plan, made_for: Mapping[str, Any], items: Items) -> None:
    """InputError where study.toml asks for other clips than there are."""
    for name in ("sources", "items", "catch", "seconds", "qpm"):
        wanted = getattr(plan.design, name)
        wanted = list(wanted) if isinstance(wanted, tuple) else wanted
        if made_for.get(name) != wanted:
            raise InputError(
                f"{folder / PLAN}: design.{name} = {wanted!r}, but the clips were made for {made_for.get(name)!r}; "
                "put it back, or make another study"
            )
    if set(items.contrasts) != set(plan.contrasts):
        raise InputError(f"{folder / KEY}: damaged; restore it, or make the study anew")


def frozen_at(folder: Path) -> str | None:
    """When the study was frozen, as ISO 8601 in UTC; None where it was not."""
    file = folder / FROZEN
    return str(json.loads(file.read_text(encoding="utf-8"))["frozen_at"]) if file.is_file() else None


def freeze(study: Study) -> bool:
    """Writes frozen.json where there is none; whether it did. InputError where the folder cannot be written to."""
    file = study.folder / FROZEN
    if file.is_file():
        return False
    content = {
        "format": FORMAT,
        "rltuner": __version__,
        "frozen_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "sha256": study.digest,
        "files": hashes_of(study.folder),
    }
    try:
        write_atomically(file, (json.dumps(content, indent=1) + "\n").encode())
    except OSError as error:
        raise InputError(f"{study.folder}: cannot be written to ({error.strerror})") from None
    return True


def _check_unchanged(folder: Path, hashes: Mapping[str, str], digest: str) -> None:
    """InputError where the study is frozen and a file is not as frozen.json has it."""
    file = folder / FROZEN
    if not file.is_file():
        return
    try:
        frozen = json.loads(file.read_text(encoding="utf-8"))
        kept, when, total = dict(frozen["files"]), str(frozen["frozen_at"]), frozen["sha256"]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{file}: damaged; restore it") from None
    found = difference(hashes, kept)
    if found is not None:
        raise InputError(
            f"{folder / found[0]}: {found[1]} since the study started ({when}); put it back as it was, or make another "
            "study"
        )
    if total != digest:
        raise InputError(f"{file}: has changed since the study started; restore it")


def difference(hashes: Mapping[str, str], kept: Mapping[str, str]) -> tuple[str, str] | None:
    """The first file, by name, that is not as it was kept, and how; None where all are."""
    for name in sorted(hashes.keys() | kept.keys()):
        if name not in hashes:
            return name, "is missing"
        if name not in kept:
            return name, "is new"
        if hashes[name] != kept[name]:
            return name, "has changed"
    return None


def files_of(folder: Path) -> list[Path]:
    """The files that are frozen; the plan and the key whether they exist or not."""
    return [folder / PLAN, folder / KEY, *sorted((folder / STIMULI).glob("[!.]*"))]


def hashes_of(folder: Path) -> dict[str, str]:
    """SHA-256 of each file that is frozen, by its path in the folder. InputError where one cannot be read."""
    try:
        return {
            file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in files_of(folder)
        }
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror})") from None


def _digest(hashes: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(dict(hashes), sort_keys=True).encode()).hexdigest()


@contextmanager
def only_server(folder: Path) -> Iterator[None]:
    """Holds the folder's lock. InputError where another server holds it, or the folder cannot be written to."""
    try:
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written to ({error.strerror})") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel lets go of it however we end
        except OSError:
            raise InputError(f"{folder}: another server serves this study already; stop it first") from None
        yield
    finally:
        os.close(descriptor)
