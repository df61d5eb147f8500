"""`rltuner import`: a model of Magenta's becomes a Note RNN like any other."""

from __future__ import annotations

import hashlib
from pathlib import Path

from rltuner.console import say
from rltuner.errors import InputError
from rltuner.magenta.config import ImportConfig
from rltuner.magenta.configurations import CONFIGURATIONS, Configuration, configuration_of
from rltuner.magenta.convert import note_rnn_from, sizes_of
from rltuner.magenta.layout import Layout, layout_of
from rltuner.magenta.reading.model_files import read_variables
from rltuner.magenta.reading.variables import Variables
from rltuner.networks.melody_rnn.attention import MOST_LENGTH, AttentionShape
from rltuner.networks.note_rnn import NoteRNN
from rltuner.storing.atomic import write_atomically
from rltuner.storing.output_folder import check_is_empty, filled_folder
from rltuner.version import __version__


def import_model(config: ImportConfig) -> Path:
    """Reads a model and writes a checkpoint folder; returns its path.

    Raises InputError, naming the file and what is wrong with it, where it is not a whole Melody RNN; no folder is left
    behind then.
    """
    check_is_empty(config.out)
    variables = read_variables(config.source)
    # What has no dimension is a counter or a rate of training's, whatever it is called.
    names = [name for name, shape in variables.shapes.items() if shape]
    layout = layout_of(names, variables.where, config.scope)
    inputs, units, classes = sizes_of(layout, variables.shapes, variables.where)
    kind = configuration_of(inputs, classes, variables.where, variables.pitches)
    if variables.model in CONFIGURATIONS and variables.model != kind.name:
        raise InputError(
            f"{variables.where}: calls itself {variables.model}, but its sizes are those of a {kind.name}; it is damaged"
        )
    length, source = attention_length(layout, units, variables, config.attn_length)
    network = note_rnn_from(layout, variables.values(layout.names), kind, length, variables.where)
    record = {
        "source": Path(config.source).name,
        "configuration": kind.name,
        "in_c_major": kind.in_c_major,
        "scope": layout.scope,
        "description": variables.description,
        "sha256": {file.name: _digest(file) for file in variables.files},
        **({"attn_length_from": source} if layout.attention else {}),
    }
    with filled_folder(config.out) as folder:
        digest = network.save(folder, imported=record)
        write_atomically(folder / "README.md", card_text(network, kind, record).encode())
    engine = "the compiled kernels" if network.has_kernels else "torch"
    sizes = ", ".join(map(str, network.hidden_sizes))
    say(
        f"{config.out}: {kind.name} of [{sizes}] units, {network.vocabulary}, computed by {engine}; "
        f"SHA-256 {digest[:16]}"
    )
    return config.out


def attention_length(
    layout: Layout, units: list[int], variables: Variables, given: int | None
) -> tuple[int, str]:
    """Steps that attention remembers, and what says so; 0 where there is none. Magenta's 40, said in a line, where
    nothing does. InputError where the option and the file differ, or it does not fit the network."""
    if not layout.attention:
        if given is not None:
            raise InputError(f"--attn-length {given}: {variables.where} has no attention; leave it out")
        return 0, ""
    found, size = variables.attention, units[layout.attended - 1]
    if found is not None:
        length = found.length
        if length is None:
            length, rest = divmod(found.remembered or 0, size)
            if rest:
                raise InputError(
                    f"{variables.where}: {found.source} says that {found.remembered} numbers are remembered, no multiple "
                    f"of the {size} units; it is of another model"
                )
        if not 1 <= length <= MOST_LENGTH:
            raise InputError(
                f"{variables.where}: attention over {length} steps; 1 to {MOST_LENGTH} can be imported"
            )
        if given not in (None, length):
            raise InputError(f"--attn-length {given}: {found.source} says {length}; leave it out")
        return length, found.source
    if given is not None:
        return given, "--attn-length"
    usual = AttentionShape().length
    say(
        f"{variables.where}: nothing says how many steps its attention remembers; taken as {usual}, Magenta's "
        "(--attn-length says otherwise)"
    )
    return usual, "Magenta's default"


def card_text(network: NoteRNN, kind: Configuration, record: dict[str, object]) -> str:
    """The card of an imported Note RNN."""
    attention = network.attention
    around = "" if attention is None else f", attention over {attention.shape.length} steps"
    key = (
        "It learned from melodies moved into C major; `rltuner generate --key` moves what it plays."
        if kind.in_c_major
        else "It learned from melodies in all keys."
    )
    said = f"\n\n> {record['description']}" if record["description"] else ""
    return (
        f"# {record['source']}\n\nMagenta's {kind.name}, imported by rltuner {__version__}: LSTM layers of "
        f"{', '.join(map(str, network.hidden_sizes))} units{around}; {network.vocabulary}. {key} docs/magenta.md of "
        f"rltuner says what differs.{said}\n"
    )


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while part := content.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()
