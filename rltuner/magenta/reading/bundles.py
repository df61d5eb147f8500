"""Magenta's bundles, NAME.mag.

GeneratorBundle {1 details {1 id, 2 description}, 2 checkpoint (`checkpoint_v1`), 3 MetaGraphDef, 4 {1 description}}.

Source: note_seq/protobuf/generator.proto (Apache-2.0).
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from rltuner.errors import InputError
from rltuner.magenta.configurations import refuse_other_models
from rltuner.magenta.reading.checkpoint_v1 import read_v1
from rltuner.magenta.reading.metagraphs import LARGEST_META, attention_in
from rltuner.magenta.reading.tables import is_table
from rltuner.magenta.reading.variables import Variables
from rltuner.magenta.reading.wire import WireError, bytes_of, fields, text_of

MOST_PARTS = 100  # fields of a bundle, and of what it says of itself; there are four


def read_bundle(file: Path, content: memoryview) -> Variables:
    """The variables of a bundle. InputError where it is none, or of a model that does not play one melody."""
    details: dict[int, str] = {}
    texts, checkpoints, metagraph = "", [], None
    try:
        for number, value in fields(content, MOST_PARTS):
            if number in (1, 4):
                found = {key: text_of(part) for key, part in fields(bytes_of(value), MOST_PARTS)}
                details, texts = (found, texts) if number == 1 else (details, found.get(1, ""))
            elif number == 2:
                checkpoints.append(bytes_of(value))
            elif number == 3:
                metagraph = bytes_of(value)
        if not details.get(1) and not checkpoints:
            raise WireError("nothing of a bundle is in it")
    except WireError as error:
        raise InputError(
            f"{file}: neither a bundle (.mag) nor a checkpoint of TensorFlow's ({error})"
        ) from None
    refuse_other_models(details.get(1, ""), file)
    if len(checkpoints) != 1 or not is_table(checkpoints[0]):
        raise InputError(f"{file}: a bundle without a whole checkpoint in it; it is truncated or damaged")
    variables = read_v1([(str(file), checkpoints[0])], str(file), [file])
    try:
        if metagraph is not None and len(metagraph) > LARGEST_META:
            raise WireError(f"{len(metagraph):,} bytes; at most {LARGEST_META:,} are read")
        attention = attention_in(metagraph, "the bundle's graph") if metagraph is not None else None
    except WireError as error:
        raise InputError(f"{file}: its graph is damaged ({error})") from None
    return dataclasses.replace(
        variables,
        model=details.get(1, ""),
        description=texts or details.get(2, ""),
        attention=attention,
    )
