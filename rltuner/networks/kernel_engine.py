"""Batches of melodies by the compiled kernels, on the CPU in float32: what `TorchEngine` answers, up to rounding.

The weights of each network become parts of one tensor (`weights.flattened`), which the optimiser steps.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rltuner.melody import Melodies
from rltuner.networks.algorithms import Loss
from rltuner.networks.compose import BATCH
from rltuner.networks.inputs.heard import Heard, inputs_of
from rltuner.networks.inputs.rows import RUNS
from rltuner.networks.kernels.composing import NetworkTensors, actor
from rltuner.networks.kernels.gradients import Gradients
from rltuner.networks.kernels.output_layer import advantages, log_probabilities
from rltuner.networks.kernels.recurrence import with_places
from rltuner.networks.melody_rnn.inputs import known_to_kernels
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import Policy
from rltuner.networks.recurrent import table_of, weights_of
from rltuner.networks.torch_engine import TorchEngine
from rltuner.networks.value import ValueNetwork


def acting(
    policy: Policy,
    contexts: Tensor,
    length: int,
    generator: torch.Generator,
    temperature: float = 1.0,
    epsilon: float = 0.0,
) -> tuple[Callable[[slice], None], Tensor]:
    """`kernels.composing.actor` for the networks of a policy. IndexError for a class that there is not."""
    networks = [policy.network] if policy.prior is None else [policy.network, policy.prior]
    policy.network.refuse_unknown_classes(contexts, -1)
    if not contexts.shape[1]:
        contexts = torch.full((len(contexts), 1), -1)
    inputs = known_to_kernels(policy.network.inputs)
    places, active = inputs.places(contexts.shape[1], length, policy.meter)
    return actor(
        [
            NetworkTensors(
                [weights_of(layer) for layer in network.layers],
                network.output,
                with_places(table_of(network.layers[0], network.vocabulary.size), places, inputs.of_events),
            )
            for network in networks
        ],
        contexts,
        length,
        [bars * policy.meter.steps_per_bar for bars in inputs.looked_back],
        active,
        RUNS,
        generator,
        own_temperature=policy.temperature if policy.backup.has_temperature else 1.0,
        temperature=temperature,
        epsilon=epsilon,
    )


class Step:
    """Part of a gradient step: the loss of a share of its melodies, and the gradients, one flat tensor a network."""

    def __init__(self, network: NoteRNN, value: ValueNetwork, loss: Loss, is_soft: bool) -> None:
        self._network = network
        self.gradients = Gradients(
            list(network.parameters()),
            list(value.parameters()),
            network.hidden_sizes,
            value.network.hidden_sizes,
            limit=loss.limit,
            scale=loss.scale,
            is_soft=is_soft,
        )

    def __call__(
        self, melodies: Melodies, goals: Tensor, log_prior: Tensor | None, share: float
    ) -> tuple[float, list[Tensor]]:
        """Arguments as `kernels.gradients` has them. IndexError for a class that there is not."""
        heard, inputs = inputs_of(melodies), known_to_kernels(self._network.inputs)
        self._network.refuse_unknown_classes(heard.events, -1)
        self._network.refuse_unknown_classes(melodies.events, 0)
        rows = inputs.rows(heard)
        return self.gradients(
            rows.with_places(inputs.of_events),
            rows.places,
            inputs.of_events,
            rows.played[:, heard.skipped :],
            melodies.events,
            goals,
            log_prior,
            share,
        )


class KernelEngine(TorchEngine):
    """See `engine`. The networks' weights may change in place, but not be replaced."""

    is_flat = True

    def __init__(
        self, policy: Policy, value: ValueNetwork, note_rnn: NoteRNN, loss: Loss, threads: int
    ) -> None:
        if value.network.inputs.names != policy.network.inputs.names:
            raise ValueError(
                f"V hears {value.network.inputs.names}, the policy {policy.network.inputs.names}: they share their rows"
            )
        super().__init__(policy, value, note_rnn, loss, threads)
        for network in (policy.network, value):
            self.weights(network)  # packed before the kernels look at them
        self.step = Step(policy.network, value, loss, policy.backup.is_soft)
        self._acting = [net for net in (policy.network, policy.prior, note_rnn) if net is not None]
        for acting_network in self._acting:
            acting_network.compiled = True

    def release(self) -> None:
        super().release()
        for network in self._acting:
            network.compiled = False

    def compose(
        self, contexts: Tensor, length: int, generator: torch.Generator, temperature: float, epsilon: float
    ) -> Melodies:
        policy, events = self.policy, []
        for first in range(0, max(1, len(contexts)), BATCH):
            heard = contexts[first : first + BATCH]
            act, composed = acting(policy, heard, length, generator, temperature, epsilon)
            self._by_share(act, len(heard))
            events.append(composed)
        return Melodies(torch.cat(events), None, contexts, policy.vocabulary, policy.meter)

    @torch.no_grad()
    def _log_prior(self, melodies: Melodies) -> Tensor:
        heard, network = inputs_of(melodies), self.note_rnn
        return log_probabilities(network.hidden_states(heard), network.output, network.played(heard))

    def _advantage(
        self, network: NoteRNN, heard: Heard, melodies: Melodies, log_prior: Tensor | None
    ) -> Tensor:
        hidden, played = network.hidden_states(heard), network.played(heard)
        network.refuse_unknown_classes(melodies.events, 0)
        return advantages(hidden, network.output, played, melodies.events, log_prior, self.backup.is_soft)

    def _gradients(
        self, in_all: int, melodies: Melodies, goals: Tensor, log_prior: Tensor | None
    ) -> tuple[float, list[Tensor]]:
        return self.step(melodies, goals, log_prior, len(melodies) / in_all)
