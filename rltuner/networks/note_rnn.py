"""Note RNN: an LSTM that predicts the next event of a melody.

The input at each step is the class of the last event as a one-hot vector, and class -1 is the zero vector: the start
of a tune. The output is one logit for each class of the next event. The RL Tuner paper's has one layer of 100 units.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from rltuner.checks import MOST_LAYERS, MOST_UNITS
from rltuner.errors import InputError
from rltuner.melody import Meter, Vocabulary
from rltuner.storing.checkpoints import (
    check_tensors,
    find_checkpoint,
    load_weights,
    read_checkpoint,
    write_checkpoint,
)

MOST_STEPS = 4096  # of a network's bar, in a file
State = list[tuple[Tensor, Tensor]]
"""The recurrent state: (h, c) of each layer, both float32 [B, H]. None stands for zeros."""


def weights_of(layer: nn.Module) -> list[Tensor]:
    """Of an LSTM layer: W_ih [4H, V], W_hh [4H, H] and their biases [4H]; the gates are in torch's order i, f, g, o."""
    return [layer.get_parameter(f"{name}_l0") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]


def _cell(
    table: Tensor, rows: Tensor, weight: Tensor, before: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, Tensor]:
    """One step of a layer: h and c [B, H]. Its inputs W_ih x + b are table[rows]; h and c were `before`, or 0."""
    units = weight.shape[1]
    gates = nn.functional.embedding(rows, table)  # (B, 4H)
    if before is not None:
        gates = torch.addmm(gates, before[0], weight.t())
    i, f = gates[:, : 2 * units].sigmoid().chunk(2, dim=1)
    c = i * gates[:, 2 * units : 3 * units].tanh()
    if before is not None:
        c = torch.addcmul(c, f, before[1])
    return gates[:, 3 * units :].sigmoid() * c.tanh(), c


class NoteRNN(nn.Module):
    """LSTM layers and a linear output layer.

    Args:
      vocabulary: of the events, V classes.
      hidden_sizes: units of each LSTM layer, at least one layer.
      meter: of the melodies that it is asked to compose, unless told otherwise.
      seed: of the initial weights (uniform in +-1/sqrt(H), forget gates biased by 1).
    """

    compiled = False
    """Whether `step` may go through `kernels`, which an engine sets: faster, but for once it is not worth an import."""
    one_hot: Tensor
    """Row i is the input of class i - 1, float32 [V + 1, V]: row 0 is zero."""

    def __init__(
        self,
        vocabulary: Vocabulary | None = None,
        hidden_sizes: tuple[int, ...] = (100,),
        meter: Meter | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not hidden_sizes or min(hidden_sizes) < 1:
            raise InputError(f"hidden_sizes={hidden_sizes}: give at least one layer of at least one unit")
        self.vocabulary = vocabulary if vocabulary is not None else Vocabulary()
        self.hidden_sizes = tuple(hidden_sizes)
        self.meter = meter if meter is not None else Meter()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            sizes = [self.vocabulary.size, *hidden_sizes]
            self.layers = nn.ModuleList(
                nn.LSTM(size, hidden, batch_first=True) for size, hidden in itertools.pairwise(sizes)
            )
            self.output = nn.Linear(sizes[-1], self.vocabulary.size)
        one_hot = nn.functional.pad(torch.eye(self.vocabulary.size), (0, 0, 1, 0))
        self.register_buffer("one_hot", one_hot, persistent=False)
        for layer, hidden in zip(self.layers, hidden_sizes, strict=True):
            with torch.no_grad():
                layer.get_parameter("bias_hh_l0")[hidden : 2 * hidden] += 1.0  # gates are ordered i, f, g, o

    def features(self, events: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """The last layer's hidden states, float32 [B, T, H], and the state after the last event.

        Training goes through here: every layer is one fused call over all T steps.
        """
        hidden = nn.functional.embedding(events + 1, self.one_hot)  # (B, T, V)
        final: State = []
        for position, layer in enumerate(self.layers):
            initial = None if state is None else tuple(x[None].contiguous() for x in state[position])
            hidden, (h, c) = layer(hidden, initial)  # (B, T, H)
            final.append((h[0], c[0]))
        return hidden, final

    def forward(self, events: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Logits of the event after each event.

        Args:
          events: int64 [B, T], classes; -1 is the zero input vector.
          state: as returned before; None is the zero state.

        Returns:
          logits, float32 [B, T, V]: ``logits[:, t]`` predict the event after ``events[:, t]``; the state after the
          last event.
        """
        hidden, final = self.features(events, state)
        return self.output(hidden), final

    def hidden_states(self, events: Tensor, skipped: int = 0) -> Tensor:
        """The last layer's hidden states from the zero state, float32 [T - skipped, B, H], the first left out.

        Tuning goes through here. Without gradients, on the CPU, the layers are unrolled by `kernels`, up to rounding
        the same in less than half of nn.LSTM's time.
        """
        if torch.is_grad_enabled() or not self.can_be_compiled(events):
            return self.features(events)[0].transpose(0, 1)[skipped:]
        # Not before it is needed: numba takes most of a second to import.
        from rltuner.networks.kernels.recurrence import hidden_states

        return hidden_states([weights_of(layer) for layer in self.layers], events)[skipped:]

    def unrolled(self, events: Tensor, skipped: int = 0) -> Tensor:
        """`forward`'s logits from the zero state, up to rounding: float32 [B, T - skipped, V]; see `hidden_states`."""
        logits: Tensor = self.output(self.hidden_states(events, skipped))  # (T, B, V)
        return logits.transpose(0, 1)

    def can_be_compiled(self, events: Tensor) -> bool:
        """Whether the kernels can compute it: on the CPU, in float32. IndexError for classes that there are not, which
        the kernels would read without a check."""
        if events.device.type != "cpu" or self.output.weight.dtype != torch.float32:
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

        Acting goes through here: the first layer's input weights are looked up by class, with no one-hot product.
        """
        if self.compiled and not torch.is_grad_enabled() and self.can_be_compiled(events):
            from rltuner.networks.kernels.recurrence import cell
        else:
            cell = _cell
        hidden: Tensor | None = None
        final: State = []
        for position, layer in enumerate(self.layers):
            weight_ih, weight_hh, bias_ih, bias_hh = weights_of(layer)
            heard = self.one_hot if hidden is None else hidden
            table = nn.functional.linear(heard, weight_ih, bias_ih + bias_hh)  # (V + 1 or B, 4H)
            rows = events.long() + 1 if hidden is None else torch.arange(len(events), device=events.device)
            hidden, c = cell(table, rows, weight_hh, None if state is None else state[position])
            final.append((hidden, c))
        return self.output(hidden), final

    def config(self) -> dict[str, Any]:
        """What rebuilds the network, as plain values."""
        return {
            "vocabulary": {"min_pitch": self.vocabulary.min_pitch, "max_pitch": self.vocabulary.max_pitch},
            "hidden_sizes": list(self.hidden_sizes),
            "meter": [self.meter.steps_per_bar, self.meter.steps_per_beat],
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
            vocabulary, meter = Vocabulary(*pitches), Meter(*steps)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{where}: config.json does not describe a Note RNN ({error})") from None
        if tensors is not None:
            with torch.device("meta"):
                shapes = cls(vocabulary, sizes, meter).state_dict()
            own = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
            check_tensors(shapes, own, where)
        return cls(vocabulary, sizes, meter)

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
