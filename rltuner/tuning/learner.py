"""The learner: policy, target and reward networks, a value network, and the gradient step they share.

Three copies of the Note RNN, as in the paper: the policy network learns, the target network follows it slowly, the
reward network stays as it is and gives log p. Scores are S(s, a) = V(s) + A(s, a) (see `networks.algorithms`); A comes
from the policy network's logits and V from a value network of its own, so that the scale of returns does not disturb the
policy.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from rltuner.melody import Melodies
from rltuner.networks.algorithms import Loss
from rltuner.networks.engine import engine_for
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import Policy
from rltuner.networks.primers import primer_contexts
from rltuner.networks.value import ValueNetwork
from rltuner.storing.checkpoints import check_tensors
from rltuner.tuning.backups import excess, targets
from rltuner.tuning.config import FinetuneConfig
from rltuner.tuning.moments import expected_moments, moments_of, restore_moments

VALUE_SCALE = 20.0  # rough size of the rules' return of 32 events, before division by c


def digest_of(network: nn.Module) -> str:
    """SHA-256 over the names and the weights of a network."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


class Learner:
    """Networks and optimiser. `learn` takes one gradient step on whole melodies."""

    def __init__(self, note_rnn: NoteRNN, config: FinetuneConfig) -> None:
        self.config = config
        device = torch.device(config.device)
        self.reward_network = copy.deepcopy(note_rnn).to(device).eval().requires_grad_(False)
        self.note_rnn_digest = digest_of(note_rnn)
        """SHA-256 of p's weights; a run that goes on wants the same."""
        self.policy = Policy.tuned_from(config.algo, note_rnn, config.temperature).to(device)
        self.backup = self.policy.backup
        self.policy.network.requires_grad_(True)
        scale = VALUE_SCALE / config.c
        self.value = ValueNetwork(note_rnn, config.value_units, config.length, scale, config.seed).to(device)
        for learned in (self.policy.network, self.value):
            learned.train()  # for CUDA, whose LSTM learns in training mode only
        self.target_network = copy.deepcopy(self.policy.network).requires_grad_(False)
        self.target_value = copy.deepcopy(self.value).requires_grad_(False)
        loss = Loss(limit=config.huber, scale=scale)
        self.engine = engine_for(self.policy, self.value, self.reward_network, loss, config.threads)
        """Composes, and gives log-probabilities, scores and gradients."""
        self._of_policy, self._of_value, *followers = (
            self.engine.weights(network)
            for network in (self.policy.network, self.value, self.target_network, self.target_value)
        )
        self._learned = [*self._of_policy.tensors, *self._of_value.tensors]
        self._targets = [tensor for weights in followers for tensor in weights.tensors]
        self.optimiser = torch.optim.Adam(
            [
                {"params": self._of_policy.tensors, "lr": config.learning_rate},
                {"params": self._of_value.tensors, "lr": config.value_learning_rate},
            ],
            betas=(0.9, 0.99),
            fused=True,
        )

    def compose(
        self,
        count: int,
        length: int,
        *,
        generator: torch.Generator,
        temperature: float = 1.0,
        epsilon: float = 0.0,
    ) -> Melodies:
        """Melodies by the policy from random notes, as `networks.compose` has them up to rounding; on the CPU."""
        contexts = primer_contexts(self.policy, "random_note", count, generator)
        return self.engine.compose(contexts, length, generator, temperature, epsilon)

    def log_prior(self, melodies: Melodies) -> Tensor:
        """log p(a|s_t) of every class, float32 [B, T, V], from the reward network."""
        return self.engine.log_prior(melodies)

    def log_prior_soon(self, melodies: Melodies) -> Callable[[], Tensor]:
        """`log_prior` in the background; a function that waits for it (see `TorchEngine.log_prior_soon`)."""
        return self.engine.log_prior_soon(melodies)

    def goals(self, melodies: Melodies, rewards: Tensor, log_prior: Tensor | None = None) -> Tensor:
        """The backup's targets by the target networks, float32 [B, T]: what each S(s_t, a_t) should be.

        Args:
          melodies: on the learner's device.
          rewards: of each event, as the algorithm defines them (`backups.reward`), float32 [B, T].
          log_prior: what `log_prior` gives for these melodies, where it is known already; only G needs it.
        """
        if not self.backup.includes_log_prior and log_prior is None:
            log_prior = self.log_prior(melodies)
        value, a = self.engine.scores(self.target_network, self.target_value, melodies, log_prior)
        if self.config.likeliest < 1 and self.backup.is_soft:
            log_policy = (
                a if log_prior is None else a + log_prior.gather(2, melodies.events[..., None])[..., 0]
            )
            beyond = excess(log_policy, math.log(self.config.likeliest))
            rewards = rewards - self.config.likeliest_cost * beyond
        keeps_trace = self.backup.keeps_trace(a)
        return targets(rewards, value, value + a, keeps_trace, self.config.gamma, self.config.trace)

    def learn(self, melodies: Melodies, goals: Tensor, log_prior: Tensor | None = None) -> float:
        """One gradient step of the scores towards their goals; returns the loss before it, nats squared.

        `log_prior` as for `goals`. RuntimeError where the policy's weights were replaced, as by `policy.double()`: they
        may change in place only.
        """
        if not self.backup.includes_log_prior and log_prior is None:
            log_prior = self.log_prior(melodies)
        loss, gradients = self.engine.gradients(melodies, goals, log_prior)
        for parameter, gradient in zip(self._learned, gradients, strict=True):
            parameter.grad = gradient
        nn.utils.clip_grad_norm_(self._of_policy.tensors, self.config.clip)
        nn.utils.clip_grad_norm_(self._of_value.tensors, self.config.clip)
        self.optimiser.step()
        with torch.no_grad():  # target := (1 - eta) target + eta what is learned
            torch._foreach_lerp_(self._targets, self._learned, self.config.target_rate)
        return loss

    def set_progress(self, updates: int, done: float) -> None:
        """Learning rates: warmed up over 20 rounds, then lowered to a tenth in proportion to the share `done`."""
        factor = min(1.0, (updates + 1) / 20) * (1 - 0.9 * done)
        rates = (self.config.learning_rate, self.config.value_learning_rate)
        for group, rate in zip(self.optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * factor

    def _modules(self) -> dict[str, nn.Module]:
        return {
            "policy": self.policy,
            "value": self.value,
            "target_network": self.target_network,
            "target_value": self.target_value,
        }

    def _networks(self) -> dict[str, Tensor]:
        """The weights of all networks that change, by name."""
        return {
            f"{module}.{name}": tensor
            for module, network in self._modules().items()
            for name, tensor in network.state_dict().items()
        }

    def tensors(self) -> dict[str, Tensor]:
        """Everything that learning changes, for a checkpoint: networks and the optimiser's moments."""
        return {**self._networks(), **moments_of(self.optimiser, [self._of_policy, self._of_value])}

    def restore(self, tensors: Mapping[str, Tensor], where: object) -> None:
        """The inverse of `tensors`; InputError, with nothing changed, where they do not fit."""
        learned = [self._of_policy, self._of_value]
        has_moments = any(name.startswith("optimiser.") for name in tensors)
        expected = {**self._networks(), **(expected_moments(learned) if has_moments else {})}
        check_tensors(expected, tensors, where)
        for module, network in self._modules().items():
            prefix = f"{module}."
            own = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
            network.load_state_dict(own)
        if has_moments:
            restore_moments(self.optimiser, learned, tensors)
