"""Magenta's configurations of Melody RNN, told by the sizes of a network's input and output, and their class orders.

==============  =======  =====  =====  =======================================================
configuration   pitches  input  output  class of an event
==============  =======  =====  =====  =======================================================
basic_rnn       48 - 83     38     38  0 no event, 1 note off, pitch - 46
mono_rnn        0 - 127    130    130  0 no event, 1 note off, pitch + 2
lookback_rnn    48 - 83    121     40  as basic_rnn; 38, 39 the events of 16, 32 steps before
attention_rnn   48 - 83     74     40  pitch - 48, 36 no event, 37 note off; 38, 39 as above
==============  =======  =====  =====  =======================================================

RL Tuner's note_rnn is as basic_rnn: it learned from Melody RNN's own data.

Source: magenta/models/melody_rnn/melody_rnn_model.py and note_seq's encoders (Apache-2.0).
"""

from __future__ import annotations

from dataclasses import dataclass

from rltuner.errors import InputError
from rltuner.melody import NO_EVENT, NOTE_OFF, Vocabulary
from rltuner.networks.inputs.names import KEY, LOOKBACK


@dataclass(frozen=True)
class Configuration:
    """One of Magenta's configurations."""

    name: str
    vocabulary: Vocabulary
    inputs: tuple[str, ...]
    """What `NoteRNN` is told."""
    input_size: int
    output_size: int
    in_c_major: bool
    """Whether melodies are moved into C major before it hears them (Magenta's transpose_to_key = 0)."""

    @property
    def input_columns(self) -> list[int]:
        """For each input of ours the number of Magenta's."""
        if self.inputs == (KEY,):
            return [*range(self.input_size)]
        classes = self.vocabulary.size
        swapped = [1, 0, *range(2, classes)]
        blocks = 3 if self.inputs == (LOOKBACK,) else 1
        columns = [block * classes + place for block in range(blocks) for place in swapped]
        return [*columns, *range(len(columns), self.input_size)]

    @property
    def classes(self) -> list[int]:
        """For each output of ours the number of Magenta's."""
        if self.inputs != (KEY,):
            return [1, 0, *range(2, self.output_size)]
        pitches = self.vocabulary.max_pitch - self.vocabulary.min_pitch
        special = {NOTE_OFF: pitches + 1, NO_EVENT: pitches}
        return [special[0], special[1], *range(pitches), *range(pitches + 2, self.output_size)]


_USUAL, _ALL = Vocabulary(48, 84), Vocabulary(0, 128)
CONFIGURATIONS = {
    one.name: one
    for one in (
        Configuration("basic_rnn", _USUAL, ("event",), 38, 38, True),
        Configuration("mono_rnn", _ALL, ("event",), 130, 130, False),
        Configuration("lookback_rnn", _USUAL, (LOOKBACK,), 121, 40, True),
        Configuration("attention_rnn", _USUAL, (KEY,), 74, 40, True),
    )
}
_OTHERS = (
    ("performance", "plays many voices in time that is not on a grid"),
    ("polyphon", "plays many voices at once"),
    ("pianoroll", "plays many voices at once"),
    ("drum", "plays drums, not pitches"),
    ("improv", "follows chords, which rltuner's melodies have not"),
)


def configuration_of(
    input_size: int, output_size: int, where: object, pitches: tuple[int, int] | None = None
) -> Configuration:
    """The configuration whose network has these sizes; InputError for another one.

    Args:
      input_size, output_size: numbers of the input vector, and classes.
      where: names the checkpoint in an error.
      pitches: its lowest pitch and the one after its highest, where it says them: a network of events alone may then
        have any.
    """
    if pitches is not None:
        vocabulary = Vocabulary(*pitches)
        usual = (vocabulary == one.vocabulary for one in CONFIGURATIONS.values())
        if input_size == output_size == vocabulary.size and not any(usual):
            return Configuration("basic_rnn", vocabulary, ("event",), input_size, output_size, True)
    for one in CONFIGURATIONS.values():
        if (one.input_size, one.output_size) == (input_size, output_size):
            if pitches is not None and Vocabulary(*pitches) != one.vocabulary:
                raise InputError(
                    f"{where}: says that it plays {Vocabulary(*pitches)}; its sizes are those of a {one.name}, which "
                    f"plays {one.vocabulary}"
                )
            return one
    known = ", ".join(
        f"{one.name} has {one.input_size} and {one.output_size}" for one in CONFIGURATIONS.values()
    )
    raise InputError(
        f"{where}: its network has {input_size} inputs and {output_size} classes, as no Melody RNN ({known}): a "
        "performance, polyphony, drum or improv model, or a configuration of its own"
    )


def refuse_other_models(model: str, where: object) -> None:
    """InputError where a bundle is of a model that does not play one melody; `model` is the id that it gives itself."""
    if model in CONFIGURATIONS or not model:
        return
    for part, reason in _OTHERS:
        if part in model.lower():
            raise InputError(
                f"{where}: a {model[:60]!r} model, which {reason}; {', '.join(CONFIGURATIONS)} can be imported"
            )
