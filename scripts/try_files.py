"""What becomes of people's files: a table of what is read, what is changed on the way, and what is refused.

    python scripts/try_files.py FOLDER [FOLDER …] [--every N] [--list]

reads every file of a known format in the folders as a person's own song, every tune of a tunebook by itself, and prints
for each folder how many are read as they are, how many with a change (by kind, with what is said), how many are refused
(by reason), and the seconds of the slowest. `--every 23` takes one file of 23; `--list` names every file that is refused.
"""

from __future__ import annotations

import argparse
import re
import time
from collections import Counter
from pathlib import Path

from rltuner.errors import InputError
from rltuner.reading.parse import KINDS
from rltuner.reading.songs import read_every

SHOWN = 12  # kinds of remarks and reasons


def without_names(text: str) -> str:
    """What is said, without names, numbers and places, so that alike is counted as alike."""
    text = re.sub(r"(?:, )?(?:at )?bars? \d+(?: \(line -?\d+\))?(?: to [^,;:]+)?", " …", text)
    text = re.sub(r"'[^']*'|\"[^\"]*\"|\([^)]*\)", "…", text)
    return re.sub(r"(…[ ,]*)+", "… ", re.sub(r"-?\d[\d,/.:]*", "N", text)).strip()[:110]


def try_folder(folder: Path, every: int, is_listed: bool) -> None:
    """Prints the table of one folder."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in KINDS and path.is_file())[
        ::every
    ]
    counts: Counter[str] = Counter()
    changes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    slowest, where, total = 0.0, "", 0.0
    for file in files:
        started = time.process_time()
        try:
            songs, errors = read_every(file)
        except InputError as error:
            songs, errors = [], [str(error)]
        seconds = time.process_time() - started
        total += seconds
        each = seconds / max(1, len(songs) + len(errors))
        if each > slowest:
            slowest, where = each, file.name
        for song in songs:
            counts["changed" if song.remarks else "as it is"] += 1
            counts["pickup"] += bool(song.pickup)
            changes.update({without_names(remark) for remark in song.remarks})
        for error in errors:
            counts["refused"] += 1
            reasons[without_names(re.sub(r"^.*?(?:\.\w{2,8}|#\S+): ", "", error))] += 1
            if is_listed:
                print(f"  {error}")
    tried = sum(counts[kind] for kind in ("as it is", "changed", "refused"))
    print(
        f"{folder}: {len(files)} files, {tried} tunes: {counts['as it is']} read as they are, {counts['changed']} read "
        f"with a change that is said, {counts['refused']} refused; {counts['pickup']} with a pickup; {total:.1f} s in "
        f"all, the slowest tune {slowest:.2f} s ({where})"
    )
    for title, found in (("said", changes), ("refused", reasons)):
        for text, count in found.most_common(SHOWN):
            print(f"  {title:8} {count:6}  {text}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What becomes of people's files: read, changed, refused.")
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--every", type=int, default=1, help="take one file of so many")
    parser.add_argument("--list", action="store_true", help="name every file that is refused")
    given = parser.parse_args()
    for one in given.folders:
        try_folder(one, max(1, given.every), given.list)
