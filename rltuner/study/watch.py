"""Whether a study that is being served is still what it was when the server began.

Looking is cheap: the system's notes on every file, and its hash only where those differ. A clip is hashed each time it
is sent, so no other bytes than the study's are ever heard.
"""

from __future__ import annotations

import hashlib
import os
import threading

from rltuner.console import say
from rltuner.errors import InputError
from rltuner.study.folder import STIMULI, Study, difference, files_of, hashes_of


class Watch:
    """Looks at a study's files; complains once about a change, and once says that it is over.

    A preview looks at the clips only: its study.toml is there to be edited. Safe to use from several threads.
    """

    def __init__(self, study: Study, *, preview: bool = False) -> None:
        self._study = study
        self._preview = preview
        self._seen: dict[str, tuple[int, ...]] = {}
        self._complaint = ""
        self._lock = threading.Lock()

    def is_unchanged(self) -> bool:
        """Whether every file is as it was when the study was read."""
        with self._lock:
            seen = self._look()
            if seen != self._seen:
                self._tell(self._change())
                self._seen = seen
            return not self._complaint

    def clip(self, name: str) -> bytes | None:
        """A clip's bytes; None where they are not the study's. KeyError for a name that is not one of its clips."""
        file = self._study.clip_file(name)
        try:
            content = file.read_bytes()
        except OSError:
            return None
        kept = self._study.hashes[f"{STIMULI}/{name}"]
        return content if hashlib.sha256(content).hexdigest() == kept else None

    def _look(self) -> dict[str, tuple[int, ...]]:
        """What the system notes of each file. A change of its bytes always changes its time of change."""
        found: dict[str, tuple[int, ...]] = {}
        for file in files_of(self._study.folder):
            try:
                status = os.stat(file)
            except OSError:
                continue  # its absence is the change
            found[str(file)] = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        return found

    def _change(self) -> str:
        """What is no longer as it was, as one line; empty where all is."""
        folder, kept = self._study.folder, dict(self._study.hashes)
        try:
            now = hashes_of(folder)
        except InputError as error:
            return f"{error}; nothing is served until it is as it was"
        if self._preview:
            now, kept = ({n: h for n, h in hashes.items() if n.startswith(STIMULI)} for hashes in (now, kept))
        found = difference(now, kept)
        if found is None:
            return ""
        return f"{folder / found[0]}: {found[1]} since the study was started; nothing is served until it is as it was"

    def _tell(self, complaint: str) -> None:
        if complaint and complaint != self._complaint:
            say(complaint)
        elif self._complaint and not complaint:
            say(f"{self._study.folder}: as it was again; the study goes on")
        self._complaint = complaint
