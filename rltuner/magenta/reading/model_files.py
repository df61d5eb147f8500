"""Which files a name stands for, and what reads them."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

from rltuner.errors import InputError
from rltuner.magenta.reading.bundles import read_bundle
from rltuner.magenta.reading.checkpoint_v1 import read_v1
from rltuner.magenta.reading.checkpoint_v2 import read_v2
from rltuner.magenta.reading.magenta_js import MANIFEST, read_magenta_js
from rltuner.magenta.reading.metagraphs import LARGEST_META, attention_in
from rltuner.magenta.reading.tables import is_table
from rltuner.magenta.reading.variables import LARGEST_FILE, Variables, content_of
from rltuner.magenta.reading.wire import WireError

_PART = re.compile(r"(\.index|\.meta|\.data-\d{5}-of-\d{5})$")
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})$")
_LATEST = re.compile(r'^model_checkpoint_path:\s*"([^"\n]{1,1000})"', re.MULTILINE)


def read_variables(source: str) -> Variables:
    """The variables of a bundle, a checkpoint or a folder of magenta.js.

    Args:
      source: NAME.mag; a checkpoint's prefix such as model.ckpt-500, or one of its files; a folder with one of them, of
        several the one that its file `checkpoint` names; a folder with weights_manifest.json.

    Raises InputError, naming the file, where there is none, or it cannot be read.
    """
    path = Path(source)
    if os.path.isdir(path):
        return read_magenta_js(path) if os.path.isfile(path / MANIFEST) else _with_meta(_in_folder(path))
    if path.name == MANIFEST:
        return read_magenta_js(path.parent)
    return _with_meta(path)


def _in_folder(folder: Path) -> Path:
    """The one checkpoint or bundle of a folder, the one that its file `checkpoint` names where there are several."""
    if os.path.isfile(folder / "checkpoint"):
        text = bytes(content_of(folder / "checkpoint", 1 << 20)).decode(errors="replace")
        if latest := _LATEST.search(text):
            return folder / re.split(r"[/\\]", latest[1])[-1]  # the folder may have moved since
    found = [folder / _PART.sub("", file.name) for file in sorted(folder.glob("*.index"))]
    found += sorted(file for file in folder.glob("*.mag") if os.path.isfile(file))
    if len(found) == 1:
        return found[0]
    names = f": {', '.join(file.name for file in found[:8])}; name one" if found else ""
    raise InputError(
        f"{folder}: {len(found) or 'no'} checkpoints (NAME.index), bundles (NAME.mag) or {MANIFEST} in it{names}"
    )


def _with_meta(path: Path) -> Variables:
    """The variables of a bundle or a checkpoint, with what a .meta beside it says of attention."""
    prefix = path.with_name(_PART.sub("", path.name) or path.name)
    if os.path.isfile(prefix.with_name(prefix.name + ".index")):
        variables = read_v2(prefix)
    elif shards := _v1_shards(prefix):
        variables = read_v1([(str(one), content_of(one)) for one in shards], str(prefix), shards)
    elif not os.path.isfile(path):
        raise InputError(
            f"{path}: no bundle, no checkpoint (no {prefix.name}.index) and no folder of magenta.js; name one of these"
        )
    else:
        content = content_of(path, LARGEST_FILE)
        if not is_table(content):
            return read_bundle(path, content)
        variables = read_v1([(str(path), content)], str(path), [path])
    meta = prefix.with_name(_SHARD.sub("", prefix.name) + ".meta")
    if not os.path.isfile(meta):
        return variables
    try:
        attention = attention_in(content_of(meta, LARGEST_META), meta.name)
    except WireError as error:
        raise InputError(f"{meta}: not the graph of a checkpoint ({error})") from None
    return dataclasses.replace(variables, attention=attention)


def _v1_shards(prefix: Path) -> list[Path]:
    """All files PREFIX-00000-of-00002 and so on of a checkpoint, where it is in such; one of them may be named."""
    whole = prefix.with_name(_SHARD.sub("", prefix.name))
    pattern = re.compile(re.escape(whole.name) + _SHARD.pattern)
    try:
        names = sorted(name for name in os.listdir(prefix.parent) if pattern.fullmatch(name))
    except OSError:
        return []
    if not names:
        return []
    count = int(names[0][-5:])
    wanted = [
        whole.with_name(f"{whole.name}-{number:05}-of-{count:05}") for number in range(min(count, 1000))
    ]
    for file in wanted:
        if not os.path.isfile(file):
            raise InputError(f"{file}: missing; the checkpoint is in {count} files")
    return wanted
