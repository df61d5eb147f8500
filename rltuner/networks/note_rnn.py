"""Note RNN: an LSTM that predicts the next event of a melody.

The input at each step is the sum of one-hot vectors, one for each thing that `inputs` says it hears: the class of the
last event, and where in the bar, the phrase and the tune the next one stands. The output is one logit for each class of
the next event. The RL Tuner paper's has one layer of 100 units, and hears the last event alone.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rltuner.checks import MOST_LAYERS, MOST_UNITS
from rltuner.errors import InputError
from rltuner.melody import Meter, Vocabulary
from rltuner.networks.inputs.heard import Heard, Length, begin
from rltuner.networks.melody_rnn.attention import Attention, AttentionShape, Layers
from rltuner.networks.melody_rnn.inputs import inputs_named, known_to_kernels
from rltuner.networks.melody_rnn.repeats import with_repeats_added, with_repeats_mixed
from rltuner.networks.recurrent import State, cell, stepped, table_of, unrolled, weights_of
from rltuner.storing.checkpoints import (
    check_tensors,
    find_checkpoint,
    load_weights,
    read_checkpoint,
    write_checkpoint,
)

MOST_STEPS = 4096  # of a network's bar, in a file


class NoteRNN(nn.Module):
    """LSTM layers and a linear output layer.

    Args:
      vocabulary: of the events, V classes.
      hidden_sizes: units of each LSTM layer, at least one layer.
      meter: of the melodies that it is asked to compose, unless told otherwise.
      seed: of the initial weights (uniform in +-1/sqrt(H), forget gates biased by 1; what is heard besides the event
        begins at 0, so that a beat or a place that no tune has stays without effect).
      inputs: what it hears: of `inputs.names.INPUTS`, or one of Magenta's.
      attention: to what its first layers gave before; None for none.
    """

    compiled = False
    """Whether `step` may go through `kernels`, which an engine sets: faster, but for once it is not worth an import."""
    adds_repeats = False
    """Whether repeats are added to logits also where the inputs would have them mixed (`logits`): in a network of scores,
    such as G's, which are no probabilities."""
    vectors: Tensor
    """What the rows of a table stand for, float32 [R, F] (`Inputs.vectors`)."""

    def __init__(
        self,
        vocabulary: Vocabulary | None = None,
        hidden_sizes: tuple[int, ...] = (100,),
        meter: Meter | None = None,
        seed: int = 0,
        inputs: Sequence[str] = ("event",),
        attention: AttentionShape | None = None,
    ) -> None:
        super().__init__()
        if not hidden_sizes or min(hidden_sizes) < 1:
            raise InputError(f"hidden_sizes={hidden_sizes}: give at least one layer of at least one unit")
        self.vocabulary = vocabulary if vocabulary is not None else Vocabulary()
        self.hidden_sizes = tuple(hidden_sizes)
        self.inputs = inputs_named(self.vocabulary, tuple(inputs))
        self.meter = meter if meter is not None else Meter()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            sizes = [self.inputs.size, *hidden_sizes]
            self.layers = nn.ModuleList(
                nn.LSTM(size, hidden, batch_first=True) for size, hidden in itertools.pairwise(sizes)
            )
            self.output = nn.Linear(sizes[-1], self.vocabulary.size + len(self.inputs.looked_back))
            self.attention = None if attention is None else Attention(attention, sizes[0], self.hidden_sizes)
        self.register_buffer("vectors", self.inputs.vectors(), persistent=False)
        for layer, hidden in zip(self.layers, hidden_sizes, strict=True):
            with torch.no_grad():
                layer.get_parameter("bias_hh_l0")[hidden : 2 * hidden] += 1.0  # gates are ordered i, f, g, o
        with torch.no_grad():
            self.layers[0].get_parameter("weight_ih_l0")[:, self.vocabulary.size :] = 0.0

    @property
    def meter(self) -> Meter:
        """Of the melodies that it is asked to compose, unless told otherwise. InputError where it cannot hear it."""
        return self._meter

    @meter.setter
    def meter(self, meter: Meter) -> None:
        self.inputs.check_meter(meter)
        self._meter = meter

    def begin(self, count: int, context: int = 1, length: Length = None, meter: Meter | None = None) -> State:
        """The state before anything is heard of `count` melodies.

        Args:
          context: how many events are heard before the melodies' own; 0 counts as 1, the zero input.
          length: of each melody, in events; None where it is unknown.
          meter: of the melodies; the network's where not given.
        """
        return State(None, begin(count, context, length, meter if meter is not None else self.meter))

    @property
    def has_kernels(self) -> bool:
        """Whether the compiled kernels know its inputs and its layers; others go through torch."""
        return self.inputs.has_kernels and self.attention is None

    def features(self, rows: Tensor, layers: Layers | None = None) -> tuple[Tensor, Layers]:
        """The last layer's hidden states, float32 [B, T, H], and `State.layers` after the last step.

        Training goes through here.

        Args:
          rows: that each step adds up (`Rows.all`), int64 [B, T, K].
          layers: `State.layers` before the first step.
        """
        batch, steps, added = rows.shape
        if rows.numel():
            heard = nn.functional.embedding_bag(rows.reshape(-1, added), self.vectors, mode="sum")
            heard = heard.view(batch, steps, -1)  # (B, T, F)
        else:
            heard = self.vectors.new_zeros(batch, steps, self.inputs.size)
        return unrolled(heard, list(self.layers), self.attention, layers)

    def forward(self, events: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Logits of the event after each event.

        Args:
          events: int64 [B, T], classes; -1 is nothing, the start of a tune.
          state: as `begin` gives it, or as returned before. None: of melodies of unknown length that begin after one
            event, the first.

        Returns:
          logits, float32 [B, T, V]: ``logits[:, t]`` predict the event after ``events[:, t]``; the state after the
          last event.
        """
        state = self.begin(len(events)) if state is None else state
        rows = self.inputs.rows(Heard(events, state.progress))
        hidden, layers = self.features(rows.all(), state.layers)
        return self.logits(hidden, rows.played), State(layers, rows.then)

    def logits(self, hidden: Tensor, played: Tensor) -> Tensor:
        """Of the last layer's hidden states [.., H], float32 [.., V].

        A network that looks back has one output more for each distance: how much it would repeat, which is added to the
        logit of the event that was played then. Magenta's are classes of their own that stand for that event: its
        probability is the sum.

        Args:
          played: the classes looked back on, int64 [.., D] (`Rows.played`).
        """
        outputs: Tensor = self.output(hidden)
        if not played.shape[-1]:
            return outputs
        mixes = self.inputs.mixes_repeats and not self.adds_repeats
        return (with_repeats_mixed if mixes else with_repeats_added)(outputs, played)

    def hidden_states(self, heard: Heard) -> Tensor:
        """The last layer's hidden states that predict, float32 [T - skipped, B, H].

        Tuning goes through here. Without gradients, on the CPU, the layers are unrolled by `kernels`, up to rounding
        the same in less than half of nn.LSTM's time.
        """
        self.refuse_unknown_classes(heard.begun.past, -1)
        rows = self.inputs.rows(heard)
        if torch.is_grad_enabled() or not self.can_be_compiled(heard.events):
            return self.features(rows.all())[0].transpose(0, 1)[heard.skipped :]
        # Not before it is needed: numba takes most of a second to import.
        from rltuner.networks.kernels.recurrence import hidden_states

        of_events = known_to_kernels(self.inputs).of_events
        table = table_of(self.layers[0], self.vocabulary.size)
        layers = [weights_of(layer) for layer in self.layers]
        found = hidden_states(table, rows.places, rows.with_places(of_events), of_events, layers)
        return found[heard.skipped :]

    def unrolled(self, heard: Heard) -> Tensor:
        """`forward`'s logits of what is predicted, up to rounding: float32 [B, T - skipped, V]; see `hidden_states`."""
        hidden = self.hidden_states(heard).transpose(0, 1)  # (B, T, H)
        return self.logits(hidden, self.played(heard))

    def played(self, heard: Heard) -> Tensor:
        """The classes looked back on at each event that is predicted, int64 [B, T - skipped, D]."""
        return self.inputs.rows(heard).played[:, heard.skipped :]

    def can_be_compiled(self, events: Tensor) -> bool:
        """Whether the kernels can compute it: they know it, and it is on the CPU, in float32. IndexError for classes that
        there are not, which the kernels would read without a check."""
        on_cpu = events.device.type == "cpu" and self.output.weight.dtype == torch.float32
        if not self.has_kernels or not on_cpu:
            return False
        self.refuse_unknown_classes(events, -1)
        return True

    def refuse_unknown_classes(self, events: Tensor, lowest: int) -> None:
        """IndexError where events are not from `lowest` to V - 1: kernels would read what is there without a check."""
        if events.numel() and not lowest <= int(events.min()) <= int(events.max()) < self.vocabulary.size:
            raise IndexError(
                f"events outside {lowest} to {self.vocabulary.size - 1}, the classes of {self.vocabulary}"
            )

    def step(self, events: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """One event further: events int64 [B], logits float32 [B, V]. The same function as `forward` on [B, 1].

        Acting goes through here: the first layer's inputs are looked up, with no product, unless attention mixes them.
        """
        state = self.begin(len(events)) if state is None else state
        if self.attention is not None:
            logits, state = self.forward(events[:, None], state)
            return logits[:, 0], state
        if self.compiled and not torch.is_grad_enabled() and self.can_be_compiled(events):
            from rltuner.networks.kernels.recurrence import cell as step_of
        else:
            step_of = cell
        heard = self.inputs.rows(Heard(events[:, None], state.progress))
        vectors = None if self.inputs.has_kernels else self.vectors
        table = table_of(self.layers[0], self.vocabulary.size, vectors)
        hidden, final = stepped(table, heard.all()[:, 0], list(self.layers), state.layers, step_of)
        return self.logits(hidden, heard.played[:, 0]), State(final, heard.then)

    def config(self) -> dict[str, Any]:
        """What rebuilds the network, as plain values."""
        return {
            "vocabulary": {"min_pitch": self.vocabulary.min_pitch, "max_pitch": self.vocabulary.max_pitch},
            "hidden_sizes": list(self.hidden_sizes),
            "meter": [self.meter.steps_per_bar, self.meter.steps_per_beat],
            **({} if self.inputs.names == ("event",) else {"inputs": list(self.inputs.names)}),
            **({} if self.attention is None else {"attention": dataclasses.asdict(self.attention.shape)}),
        }

    @classmethod
    def from_config(
        cls,
        config: Mapping[str, Any],
        where: object,
        tensors: Mapping[str, Tensor] | None = None,
        prefix: str = "",
    ) -> NoteRNN:
        """A network of the shape that a checkpoint's configuration gives, its weights those of a new one.

        InputError where it is malformed, or `tensors` (where given) are not those of such a network: the shapes are
        compared before memory is taken for them, so that no configuration can ask for more than the file holds.

        Args:
          config: of the checkpoint.
          where: names it in an error.
          tensors: the checkpoint's; of a policy's, those that begin with `prefix`.
        """
        try:
            pitches = config["vocabulary"]["min_pitch"], config["vocabulary"]["max_pitch"]
            sizes, steps = tuple(config["hidden_sizes"]), tuple(config["meter"])
            if any(type(value) is not int for value in (*pitches, *sizes, *steps)):
                raise TypeError("its numbers must be whole")
            if not 0 < len(sizes) <= MOST_LAYERS or not 0 < min(sizes) <= max(sizes) <= MOST_UNITS:
                raise ValueError(f"hidden_sizes: 1 to {MOST_LAYERS} layers of 1 to {MOST_UNITS} units")
            if len(steps) != 2 or max(steps) > MOST_STEPS:
                raise ValueError(f"meter: two numbers of steps up to {MOST_STEPS}")
            inputs = config.get("inputs", ["event"])
            if not isinstance(inputs, list) or any(not isinstance(name, str) for name in inputs):
                raise TypeError("inputs: a list of names")
            vocabulary, meter = Vocabulary(*pitches), Meter(*steps)
            heard = inputs_named(vocabulary, inputs)
            heard.check_meter(meter)
            attention = AttentionShape.of(config.get("attention"))
            if attention is not None:
                attention.check(len(sizes))
            shape = (vocabulary, sizes, meter, 0, heard.names, attention)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{where}: config.json does not describe a Note RNN ({error})") from None
        if tensors is not None:
            with torch.device("meta"):
                shapes = cls(*shape).state_dict()
            own = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
            check_tensors(shapes, own, where)
        return cls(*shape)

    def save(self, folder: str | os.PathLike[str], **card: Any) -> str:
        """Writes config.json and model.safetensors; returns the model's SHA-256. `card` is kept in config.json."""
        return write_checkpoint(folder, {"kind": "note_rnn", **self.config(), **card}, self.state_dict())

    @classmethod
    def load(cls, name_or_folder: str | os.PathLike[str]) -> NoteRNN:
        """A shipped Note RNN by name ("note_rnn") or one that `save` wrote; InputError where it is no Note RNN."""
        config, tensors = read_checkpoint(name_or_folder)
        where = find_checkpoint(name_or_folder)
        if config["kind"] != "note_rnn":
            raise InputError(f"{where}: a checkpoint of kind {config['kind']!r}; a Note RNN is needed here")
        model = cls.from_config(config, where, tensors)
        load_weights(model, tensors, where)
        return model.eval()
