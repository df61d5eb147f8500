"""`rltuner export`: a Note RNN, or a policy tuned from one, in Magenta's own formats."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from rltuner.console import say
from rltuner.errors import InputError
from rltuner.magenta.config import ExportConfig
from rltuner.magenta.configurations import CONFIGURATIONS
from rltuner.magenta.convert import Array, Lstm, variables_of
from rltuner.magenta.writing import PREFIX, write_magenta_js, write_v2
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import Policy, load
from rltuner.networks.recurrent import weights_of
from rltuner.storing.output_folder import filled_folder


def export_model(config: ExportConfig) -> Path:
    """Writes a folder of magenta.js, or a TensorFlow checkpoint; returns its path.

    What the policy plays is what the file plays: Q's logits are divided by its temperature, and a G policy, which is two
    networks, becomes one of twice the units.

    Raises InputError, before anything is written, for a network that Magenta has no configuration for.
    """
    policy = load(config.source)
    refuse_unfit(policy, config)
    variables = exported(policy)
    vocabulary = policy.vocabulary
    with filled_folder(config.out) as folder:
        if config.to == "magenta-js":
            pitches = {"minPitch": vocabulary.min_pitch, "maxPitch": vocabulary.max_pitch - 1}
            converter = {"type": "MelodyConverter", "args": pitches}
            write_magenta_js(folder, variables, {"type": "MusicRNN", "dataConverter": converter})
        else:
            write_v2(folder, variables)
    what = str(config.out) if config.to == "magenta-js" else str(config.out / PREFIX)
    name = next((one.name for one in CONFIGURATIONS.values() if one.vocabulary == vocabulary), "basic_rnn")
    sizes = ",".join(str(len(bias) // 4) for key, bias in variables.items() if key.endswith("cell/bias"))
    say(f"{what}: a {name} with rnn_layer_sizes=[{sizes}], {vocabulary}")
    return config.out


def refuse_unfit(policy: Policy, config: ExportConfig) -> None:
    """InputError, with the reason, for what Magenta's tools could not play."""
    names = policy.network.inputs.names
    if names != ("event",) or policy.network.attention is not None:
        raise InputError(
            f"{config.source}: hears {', '.join(names)}; Magenta's basic_rnn and mono_rnn hear the event alone. A "
            "network that does, such as event_rnn, can be exported, and what was tuned from it"
        )
    known = [one.vocabulary for one in CONFIGURATIONS.values()]
    if config.to == "tf-checkpoint" and policy.vocabulary not in known:
        raise InputError(
            f"{config.source}: has {policy.vocabulary}, which a TensorFlow checkpoint cannot say and no configuration "
            "of Magenta's has; use --to magenta-js"
        )


def exported(policy: Policy) -> dict[str, Array]:
    """TensorFlow's variables of a network whose softmax is the policy."""
    own = _layers(policy.network)
    weight, bias = policy.network.output.weight.detach(), policy.network.output.bias.detach()
    if policy.backup.has_temperature and policy.temperature != 1:
        weight, bias = weight / policy.temperature, bias / policy.temperature
    if policy.prior is None:
        return variables_of(own, weight, bias)
    # log p + G: both side by side, their last layers' units heard by one output layer.
    prior = policy.prior
    layers = [_beside(a, b, is_first=not k) for k, (a, b) in enumerate(zip(own, _layers(prior), strict=True))]
    weight = torch.cat([weight, prior.output.weight.detach()], dim=1)
    return variables_of(layers, weight, bias + prior.output.bias.detach())


def _layers(network: NoteRNN) -> list[Lstm]:
    return [Lstm(*(weight.detach() for weight in weights_of(layer))) for layer in network.layers]


def _beside(one: Lstm, other: Lstm, is_first: bool) -> Lstm:
    """Two layers as one: each hears its own part of the layer before, both hear the whole input."""
    heard = torch.cat([_by_gate(one.weight_ih), _by_gate(other.weight_ih)], dim=1).flatten(0, 1)
    if not is_first:
        heard = _blocks(one.weight_ih, other.weight_ih)
    own = _blocks(one.weight_hh, other.weight_hh)
    biases = [
        torch.cat([_by_gate(a), _by_gate(b)], dim=1).flatten()
        for a, b in ((one.bias_ih, other.bias_ih), (one.bias_hh, other.bias_hh))
    ]
    return Lstm(heard, own, *biases)


def _by_gate(weight: Tensor) -> Tensor:
    by_gate: Tensor = weight.unflatten(0, (4, -1))
    return by_gate


def _blocks(one: Tensor, other: Tensor) -> Tensor:
    pairs = zip(_by_gate(one), _by_gate(other), strict=True)
    return torch.cat([torch.block_diag(a, b) for a, b in pairs])
