"""Policies: whatever composes melodies event by event, a Note RNN or one that was tuned.

A policy is a network of the Note RNN's shape, the algorithm that gives its logits their meaning (`algorithms`), and for
G the frozen Note RNN p that its policy softmax(log p + G) refers to.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rltuner.errors import InputError
from rltuner.melody import Melodies, Meter, Vocabulary
from rltuner.networks.algorithms import BACKUPS, Backup, backup_named
from rltuner.networks.compose import compose
from rltuner.networks.inputs.heard import Heard, Length, inputs_of
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.recurrent import State
from rltuner.storing.checkpoints import find_checkpoint, load_weights, read_checkpoint, write_checkpoint


@dataclass
class PolicyState:
    """The recurrent state of a policy: its network's, and p's where it has one."""

    network: State
    prior: State | None

    def chosen(self, rows: Tensor) -> PolicyState:
        """Of some of the melodies, int64 [N]."""
        return PolicyState(self.network.chosen(rows), self.prior and self.prior.chosen(rows))


class Policy(nn.Module):
    """Composes melodies and tells their probability.

    Attributes:
      kind: "note_rnn", "q", "psi" or "g".
      network: NoteRNN; its logits are log p (up to a constant), Q, Psi or G (up to the state's value).
      prior: the frozen Note RNN of a G policy, else None.
      temperature: of Q's softmax(Q / temperature); 1 for the others.
      card: what config.json says about how it was made; plain values.
    """

    def __init__(
        self,
        kind: str,
        network: NoteRNN,
        prior: NoteRNN | None = None,
        temperature: float = 1.0,
        card: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.backup: Backup = backup_named("psi" if kind == "note_rnn" else kind)  # softmax of the logits
        if self.backup.includes_log_prior != (prior is None):
            raise InputError(f"policy of kind {kind!r}: G, and only G, needs the Note RNN it was tuned from")
        self.kind, self.network, self.prior, self.temperature = kind, network, prior, temperature
        self.card = dict(card or {})
        if prior is not None:
            network.adds_repeats = True  # its zero output layer must be a zero score of every event
            prior.requires_grad_(False)

    @classmethod
    def tuned_from(cls, kind: str, note_rnn: NoteRNN, temperature: float = 1.0) -> Policy:
        """The policy that tuning starts with: a copy of the Note RNN, and for G an output layer of zeros."""
        network = copy.deepcopy(note_rnn)
        if backup_named(kind).includes_log_prior:
            return cls(kind, network, None, temperature)
        nn.init.zeros_(network.output.weight)
        nn.init.zeros_(network.output.bias)
        return cls(kind, network, copy.deepcopy(note_rnn))

    @property
    def vocabulary(self) -> Vocabulary:
        """Of the events it composes."""
        return self.network.vocabulary

    @property
    def meter(self) -> Meter:
        """Of the melodies it composes."""
        return self.network.meter

    def forward(self, heard: Heard) -> Tensor:
        """log pi of every event that is predicted, float32 [B, T, V], heard from the zero state."""
        logits = predicted(self.network, heard)
        log_prior = predicted(self.prior, heard).log_softmax(dim=-1) if self.prior is not None else logits
        return self.backup.log_policy(logits, log_prior, self.temperature)

    def begin(self, count: int, context: int = 1, length: Length = None) -> PolicyState:
        """The state before anything is heard; see `NoteRNN.begin`."""
        prior = self.prior.begin(count, context, length, self.meter) if self.prior is not None else None
        return PolicyState(self.network.begin(count, context, length), prior)

    def step(self, events: Tensor, state: PolicyState | None = None) -> tuple[Tensor, PolicyState]:
        """log pi of the next event, float32 [B, V], after one more event, int64 [B]; state as `begin` gives it at first,
        None as `NoteRNN.forward` has it."""
        state = self.begin(len(events)) if state is None else state
        logits, network_state = self.network.step(events, state.network)
        log_prior, prior_state = logits, None
        if self.prior is not None:
            prior_logits, prior_state = self.prior.step(events, state.prior)
            log_prior = prior_logits.log_softmax(dim=-1)
        log_policy = self.backup.log_policy(logits, log_prior, self.temperature)
        return log_policy, PolicyState(network_state, prior_state)

    def compose(
        self,
        count: int,
        length: int = 32,
        *,
        primer: str | os.PathLike[str] | Tensor = "random_note",
        seed: int | None = None,
        temperature: float = 1.0,
        top_p: float = 1.0,
    ) -> Melodies:
        """Melodies of `length` events, by one ancestral pass of the network; see `compose.compose`."""
        return compose(self, count, length, primer=primer, seed=seed, temperature=temperature, top_p=top_p)

    @torch.no_grad()
    def log_prob(self, melodies: Melodies) -> Tensor:
        """log pi(event | context, past) at temperature 1, float32 [B, T]; 0 on padding.

        Raises InputError where the melodies' vocabulary is not the policy's.
        """
        if melodies.vocabulary != self.vocabulary:
            raise InputError(f"melodies in {melodies.vocabulary}, the policy has {self.vocabulary}")
        device = next(self.parameters()).device
        parts = []
        for first in range(0, len(melodies), 4096):  # bounds the memory of [B, T, V]
            part = melodies[first : first + 4096].to(device)
            log_policy = self(inputs_of(part))
            chosen = (
                log_policy.gather(2, part.events[..., None])[..., 0]
                if part.events.shape[1]
                else log_policy[..., 0]
            )
            parts.append(torch.where(part.valid, chosen, 0.0).cpu())
        return torch.cat(parts) if parts else torch.zeros(melodies.events.shape)

    def save(self, folder: str | os.PathLike[str], **card: Any) -> str:
        """Writes the checkpoint folder; returns the SHA-256 of its model file. `card` is kept in config.json."""
        config = {"kind": self.kind, **self.network.config(), "temperature": self.temperature}
        return write_checkpoint(folder, {**config, **self.card, **card}, self.state_dict())


def predicted(network: NoteRNN, heard: Heard) -> Tensor:
    """A network's logits of every event that is predicted, float32 [B, T, V], by torch's LSTM."""
    rows = network.inputs.rows(heard)
    logits = network.logits(network.features(rows.all())[0], rows.played)
    return logits[:, heard.skipped :]


def load(name_or_folder: str | os.PathLike[str]) -> Policy:
    """Any checkpoint as a policy: a shipped name, a checkpoint folder or a run folder.

    Raises InputError, naming the folder, for what is missing, foreign or damaged.
    """
    config, tensors = read_checkpoint(name_or_folder)
    where = find_checkpoint(name_or_folder)
    kind = config["kind"]
    if kind != "note_rnn" and kind not in BACKUPS:
        raise InputError(f"{where}: a checkpoint of unknown kind {kind!r}")
    network = NoteRNN.from_config(config, where, tensors, "" if kind == "note_rnn" else "network.")
    if kind == "note_rnn":
        load_weights(network, tensors, where)
        policy = Policy(kind, network, card=_card_of(config))
    else:
        prior = None if backup_named(kind).includes_log_prior else NoteRNN.from_config(config, where)
        policy = Policy(kind, network, prior, _temperature_of(config, where), _card_of(config))
        load_weights(policy, tensors, where)
    return policy.eval().requires_grad_(False)


def note_rnn_of(policy: Policy) -> NoteRNN:
    """p, the Note RNN that a policy was tuned from; of a Note RNN itself. InputError where it cannot be found."""
    if policy.kind == "note_rnn":
        return policy.network
    if policy.prior is not None:
        return policy.prior
    tuned_with = policy.card.get("finetune")
    name = tuned_with.get("note_rnn") if isinstance(tuned_with, dict) else None
    if not isinstance(name, str):
        raise InputError("the policy's config.json does not name the Note RNN that it was tuned from")
    note_rnn = NoteRNN.load(name)
    if note_rnn.vocabulary != policy.vocabulary:
        raise InputError(f"the policy has {policy.vocabulary}, its Note RNN {name} has {note_rnn.vocabulary}")
    note_rnn.meter = policy.meter
    return note_rnn


def _temperature_of(config: Mapping[str, Any], where: Path) -> float:
    value = config.get("temperature", 1.0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise InputError(f"{where}: temperature = {value!r} must be a positive number")
    return float(value)


def _card_of(config: Mapping[str, Any]) -> dict[str, Any]:
    rebuilt = {
        "format",
        "kind",
        "vocabulary",
        "hidden_sizes",
        "meter",
        "inputs",
        "attention",
        "temperature",
        "model_sha256",
    }
    return {name: value for name, value in config.items() if name not in rebuilt}
