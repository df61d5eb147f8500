"""TensorFlow's weights as a Note RNN's, and back.

A layer's kernel has the rows [input ; h] and the columns of four gates i, j, f, o, j being the candidate; torch has the
gates i, f, g, o, g = j, in rows. TensorFlow adds 1 to the forget gate's bias, which the file does not have: here that 1
is torch's second bias, so that the first one is the file's, bit for bit. Class orders are `configurations`'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rltuner.checks import MOST_LAYERS, MOST_UNITS
from rltuner.errors import InputError
from rltuner.magenta.configurations import Configuration
from rltuner.magenta.layout import Layout
from rltuner.networks.melody_rnn.attention import AttentionShape
from rltuner.networks.note_rnn import NoteRNN

Array = np.ndarray[tuple[int, ...], np.dtype[np.float32]]
_GATES = [0, 2, 1, 3]  # i, j, f, o as i, f, j, o, and back
FORGET = 1.0


def sizes_of(
    layout: Layout, shapes: Mapping[str, tuple[int, ...]], where: object
) -> tuple[int, list[int], int]:
    """Inputs, units of each layer and classes of a network, from the shapes of its variables, checked against each other.

    InputError, naming the variable and both shapes, where one does not fit.
    """

    def expect(name: str, *shape: int) -> None:
        if shapes[name] != shape:
            raise InputError(f"{where}: {name} is {list(shapes[name])}, the others want {list(shape)}")

    if len(layout.layers) > MOST_LAYERS:
        raise InputError(f"{where}: {len(layout.layers)} layers; at most {MOST_LAYERS} can be imported")
    units = []
    for _, bias in layout.layers:
        shape = shapes[bias]
        if len(shape) != 1 or shape[0] % 4 or not 0 < shape[0] // 4 <= MOST_UNITS:
            raise InputError(
                f"{where}: {bias} is {list(shape)}: not the bias of an LSTM layer of 1 to {MOST_UNITS}"
            )
        units.append(shape[0] // 4)
    first = shapes[layout.layers[0][0]]
    inputs = first[0] - units[0] if len(first) == 2 else 0
    if inputs < 1:
        raise InputError(
            f"{where}: {layout.layers[0][0]} is {list(first)}: no kernel of a layer of {units[0]} units"
        )
    before = inputs
    for (kernel, _), size in zip(layout.layers, units, strict=True):
        expect(kernel, before + size, 4 * size)
        before = size
    if layout.attention:
        size, names = units[layout.attended - 1], layout.attention
        expect(names["kernel"], inputs + size, inputs)
        expect(names["bias"], inputs)
        expect(names["attention/attn_w"], 1, 1, size, size)
        expect(names["attention/attn_v"], size)
        expect(names["attention/kernel"], 2 * sum(units[: layout.attended]), size)
        expect(names["attention/bias"], size)
        expect(names["attn_output_projection/kernel"], 2 * size, size)
        expect(names["attn_output_projection/bias"], size)
    weights, biases = layout.output
    classes = shapes[biases][0] if len(shapes[biases]) == 1 else 0
    expect(weights, units[-1], classes)
    return inputs, units, classes


def note_rnn_from(
    layout: Layout,
    variables: Mapping[str, Array],
    configuration: Configuration,
    attn_length: int,
    where: object,
) -> NoteRNN:
    """The Note RNN of a Melody RNN's variables.

    Args:
      layout: which variable is which.
      variables: float32, of `Layout.names` at least.
      configuration: whose sizes they have.
      attn_length: steps that attention remembers, where there is one.
      where: names the checkpoint in an error.
    """
    shapes = {name: variables[name].shape for name in layout.names}
    inputs, units, _ = sizes_of(layout, shapes, where)
    tensors = {name: torch.from_numpy(np.array(variables[name], np.float32)) for name in layout.names}
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{where}: {name} holds NaN or infinite values")
    shape = AttentionShape(attn_length, layout.attended) if layout.attention else None
    with torch.device("meta"):
        network = NoteRNN(
            configuration.vocabulary, tuple(units), inputs=configuration.inputs, attention=shape
        )
    weights: dict[str, Tensor] = {}
    columns = torch.tensor(configuration.input_columns)
    for number, (kernel, bias) in enumerate(layout.layers):
        width = tensors[kernel].shape[0] - units[number]
        by_gate = _gates_moved(tensors[kernel].t())
        heard, own = by_gate[:, :width], by_gate[:, width:]
        weights[f"layers.{number}.weight_ih_l0"] = heard if number or shape is not None else heard[:, columns]
        weights[f"layers.{number}.weight_hh_l0"] = own
        weights[f"layers.{number}.bias_ih_l0"] = _gates_moved(tensors[bias])
        weights[f"layers.{number}.bias_hh_l0"] = _forget(units[number])
    if layout.attention:
        own_names = layout.attention
        rows = [*configuration.input_columns, *range(inputs, inputs + units[layout.attended - 1])]
        weights |= {
            "attention.mix.weight": tensors[own_names["kernel"]].t()[:, torch.tensor(rows)],
            "attention.mix.bias": tensors[own_names["bias"]],
            "attention.query.weight": tensors[own_names["attention/kernel"]].t(),
            "attention.query.bias": tensors[own_names["attention/bias"]],
            "attention.keys.weight": tensors[own_names["attention/attn_w"]][0, 0].t(),
            "attention.score.weight": tensors[own_names["attention/attn_v"]][None],
            "attention.project.weight": tensors[own_names["attn_output_projection/kernel"]].t(),
            "attention.project.bias": tensors[own_names["attn_output_projection/bias"]],
        }
    order = torch.tensor(configuration.classes)
    weights["output.weight"] = tensors[layout.output[0]].t()[order]
    weights["output.bias"] = tensors[layout.output[1]][order]
    network.load_state_dict({name: weight.contiguous() for name, weight in weights.items()}, assign=True)
    network.vectors = network.inputs.vectors()
    return network.eval()


def _gates_moved(by_gate: Tensor) -> Tensor:
    """[4H, ...] with the second and the third gate exchanged."""
    moved: Tensor = by_gate.unflatten(0, (4, -1))[_GATES]
    return moved.flatten(0, 1)


def _forget(units: int) -> Tensor:
    bias = torch.zeros(4 * units)
    bias[units : 2 * units] = FORGET
    return bias


@dataclass(frozen=True)
class Lstm:
    """The weights of an LSTM layer in torch's order: [4H, I], [4H, H] and two of [4H]."""

    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor
    bias_hh: Tensor

    @property
    def stored_bias(self) -> Tensor:
        """The bias as TensorFlow stores it, without the forget gate's 1: the first one, where the second is that 1."""
        forget = _forget(self.weight_hh.shape[1])
        return self.bias_ih if torch.equal(self.bias_hh, forget) else self.bias_ih + self.bias_hh - forget


def variables_of(layers: Sequence[Lstm], weight: Tensor, bias: Tensor) -> dict[str, Array]:
    """The variables of a basic_rnn or mono_rnn, by the names of TensorFlow 1.2 and later.

    Args:
      layers: that hear the event alone.
      weight, bias: of the output layer, float32 [V, H] and [V].
    """
    order = torch.tensor([1, 0, *range(2, len(bias))])
    variables: dict[str, Tensor] = {}
    for number, layer in enumerate(layers):
        heard = layer.weight_ih if number else layer.weight_ih[:, order]
        cell = f"rnn/multi_rnn_cell/cell_{number}/basic_lstm_cell"
        variables[f"{cell}/kernel"] = _gates_moved(torch.cat([heard, layer.weight_hh], dim=1)).t()
        variables[f"{cell}/bias"] = _gates_moved(layer.stored_bias)
    variables["fully_connected/weights"] = weight[order].t()
    variables["fully_connected/biases"] = bias[order]
    return {name: value.contiguous().numpy().astype(np.float32) for name, value in variables.items()}
