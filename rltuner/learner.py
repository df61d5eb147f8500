"""The learner: policy, target and reward networks, a value network, and the gradient step they share.

Three copies of the Note RNN, as in the paper: the policy network learns, the target network follows it slowly, the
reward network stays as it is and gives log p. Scores are S(s, a) = V(s) + A(s, a) (see `backups`); A comes from the
policy network's logits and V from a value network of its own, so that the scale of returns does not disturb the policy.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor, nn

from rltuner.backups import advantage, excess, targets
from rltuner.config import FinetuneConfig
from rltuner.melody import Melodies
from rltuner.note_rnn import NoteRNN
from rltuner.policy import Policy, inputs_of
from rltuner.storage import check_tensors

Found = TypeVar("Found")
LEAST_SHARE = 64  # melodies; with fewer, two threads are no faster than one
VALUE_SCALE = 20.0  # rough size of the rules' return of 32 events, before division by c


class ValueNetwork(nn.Module):
    """V(s_t), in nats, of every step of melodies of T events: float32 [B, T].

    One LSTM layer of `units` that begins anew by `seed`, or with 0 units a copy of the Note RNN's layers; a linear head
    that starts at zero; and an offset for each step, since how much reward is left depends on how much time is. The
    network's own output is V / `scale`, of order 1.
    """

    def __init__(self, note_rnn: NoteRNN, units: int, length: int, scale: float, seed: int) -> None:
        super().__init__()
        self.network = NoteRNN(note_rnn.vocabulary, (units,), seed=seed) if units else copy.deepcopy(note_rnn)
        self.network.requires_grad_(True)
        self.network.output = nn.Linear(self.network.hidden_sizes[-1], 1)
        nn.init.zeros_(self.network.output.weight)
        nn.init.zeros_(self.network.output.bias)
        self.by_step = nn.Parameter(torch.zeros(length))
        self.scale = scale

    def forward(self, inputs: Tensor, skipped: int) -> Tensor:
        """inputs int64 [B, P + T - 1], of which the first `skipped` outputs are left out."""
        value = self.network.unrolled(inputs, skipped).squeeze(2)  # (B, T)
        return (value + self.by_step[: value.shape[1]]) * self.scale


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
        for acting in (self.policy.network, self.policy.prior, self.reward_network):
            if acting is not None:
                acting.compiled = True
        for learned in (self.policy.network, self.value):
            learned.train()  # for CUDA, whose LSTM learns in training mode only
        self.target_network = copy.deepcopy(self.policy.network).requires_grad_(False)
        self.target_value = copy.deepcopy(self.value).requires_grad_(False)
        self._of_policy, self._of_value = (
            list(self.policy.network.parameters()),
            list(self.value.parameters()),
        )
        self._targets: list[Tensor] = [*self.target_network.parameters(), *self.target_value.parameters()]
        self.optimiser = torch.optim.Adam(
            [
                {"params": self._of_policy, "lr": config.learning_rate},
                {"params": self._of_value, "lr": config.value_learning_rate},
            ],
            betas=(0.9, 0.99),
            fused=True,
        )
        self._learned: list[Tensor] = [*self._of_policy, *self._of_value]
        self._threads = config.threads if device.type == "cpu" else 1
        # What set_num_threads says in a thread holds there, and in threads that begin later; the main one keeps its own.
        self._pool = ThreadPoolExecutor(self._threads, initializer=torch.set_num_threads, initargs=(1,))

    def log_prior(self, melodies: Melodies) -> Tensor:
        """log p(a|s_t) of every class, float32 [B, T, V], from the reward network."""
        return self.log_prior_soon(melodies)()

    def log_prior_soon(self, melodies: Melodies) -> Callable[[], Tensor]:
        """`log_prior` for who has something else to do meanwhile: what gives it, once, when it is there.

        Threads begin at once; where one share is all there is, it waits until it is asked for.
        """
        found = self._by_share(self._log_prior, melodies)
        return lambda: torch.cat(list(found))

    def goals(self, melodies: Melodies, rewards: Tensor, log_prior: Tensor | None = None) -> Tensor:
        """The backup's targets under the target network, float32 [B, T]: what the events' scores should be.

        Args:
          melodies: on the learner's device.
          rewards: of each event, as the algorithm defines them (`Backup.reward`), float32 [B, T].
          log_prior: what `log_prior` gives for these melodies, where it is known already; only G needs it.
        """
        return torch.cat(list(self._by_share(self._goals, melodies, rewards, log_prior)))

    def learn(self, melodies: Melodies, goals: Tensor, log_prior: Tensor | None = None) -> float:
        """One gradient step of the scores towards their goals; returns the loss before it, nats squared.

        `log_prior` as for `goals`.
        """
        work = functools.partial(self._gradients, len(melodies))
        found = list(self._by_share(work, melodies, goals, log_prior))
        # Copies: a layer's two biases come with the same tensor, and the fused Adam takes all as they lie in memory.
        gradients = [gradient.clone(memory_format=torch.contiguous_format) for gradient in found[0][1]]
        for _, more in found[1:]:
            torch._foreach_add_(gradients, more)
        for parameter, gradient in zip(self._learned, gradients, strict=True):
            parameter.grad = gradient
        nn.utils.clip_grad_norm_(self._of_policy, self.config.clip)
        nn.utils.clip_grad_norm_(self._of_value, self.config.clip)
        self.optimiser.step()
        with torch.no_grad():  # target := (1 - eta) target + eta what is learned
            torch._foreach_lerp_(self._targets, self._learned, self.config.target_rate)
        return sum(loss for loss, _ in found)

    def _by_share(
        self, work: Callable[..., Found], melodies: Melodies, *of_melodies: Tensor | None
    ) -> Iterator[Found]:
        """What `work` finds of each thread's share of the melodies, and of what goes with them, in their order.

        An LSTM that has a core to itself gets more out of it than one that divides every step between two.
        """
        count = max(1, min(self._threads, len(melodies) // LEAST_SHARE))
        size = max(1, -(-len(melodies) // count))
        shares = [slice(first, first + size) for first in range(0, max(1, len(melodies)), size)]

        def of_share(share: slice) -> Found:
            return work(melodies[share], *(None if x is None else x[share] for x in of_melodies))

        return (map if len(shares) == 1 else self._pool.map)(of_share, shares)

    @torch.no_grad()
    def _log_prior(self, melodies: Melodies) -> Tensor:
        return self.reward_network.unrolled(*inputs_of(melodies)).log_softmax(dim=-1)

    @torch.no_grad()
    def _goals(self, melodies: Melodies, rewards: Tensor, log_prior: Tensor | None) -> Tensor:
        log_prior = self._referred_to(melodies, log_prior)
        a = self._advantage(self.target_network, melodies, log_prior)
        value = self.target_value(*inputs_of(melodies))
        if self.config.likeliest < 1 and self.backup.is_soft:
            log_policy = (
                a if log_prior is None else a + log_prior.gather(2, melodies.events[..., None])[..., 0]
            )
            beyond = excess(log_policy, math.log(self.config.likeliest))
            rewards = rewards - self.config.likeliest_cost * beyond
        keeps_trace = self.backup.keeps_trace(a)
        return targets(rewards, value, value + a, keeps_trace, self.config.gamma, self.config.trace)

    def _gradients(
        self, in_all: int, melodies: Melodies, goals: Tensor, log_prior: Tensor | None
    ) -> tuple[float, list[Tensor]]:
        """Of some of the `in_all` melodies of a step: their part of the loss, and its gradients."""
        a = self._advantage(self.policy.network, melodies, self._referred_to(melodies, log_prior))
        score = self.value(*inputs_of(melodies)) + a
        if self.config.huber:  # steered melodies can be far off; the squares of a few would drown the rest
            loss = 2 * nn.functional.huber_loss(score, goals, delta=self.config.huber)
        else:
            loss = (goals - score).square().mean()
        loss = loss * (len(melodies) / in_all)
        return float(loss.detach()), list(torch.autograd.grad(loss / self.value.scale**2, self._learned))

    def _referred_to(self, melodies: Melodies, log_prior: Tensor | None) -> Tensor | None:
        """log p of every class where the algorithm's scores refer to it (G), known or not; else None."""
        if self.backup.includes_log_prior:
            return None
        return self._log_prior(melodies) if log_prior is None else log_prior

    def _advantage(self, network: NoteRNN, melodies: Melodies, log_prior: Tensor | None) -> Tensor:
        """A(s_t, a_t) of every event, float32 [B, T]."""
        logits = network.unrolled(*inputs_of(melodies))
        return advantage(self.backup, logits, logits if log_prior is None else log_prior, melodies.events)

    def set_progress(self, updates: int, done: float) -> None:
        """Learning rates: warmed up over 20 updates, then lowered to a tenth in proportion to the share `done`."""
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

    def tensors(self) -> dict[str, Tensor]:
        """Everything that learning changes, for a checkpoint: networks and the optimiser's moments."""
        named = {
            f"{module}.{name}": tensor
            for module, network in self._modules().items()
            for name, tensor in network.state_dict().items()
        }
        for index, state in self.optimiser.state_dict()["state"].items():
            named |= {f"optimiser.{index}.{name}": tensor for name, tensor in state.items()}
        return named

    def restore(self, tensors: Mapping[str, Tensor], where: object) -> None:
        """The inverse of `tensors`; InputError, with nothing changed, where they do not fit."""
        expected = {
            f"{module}.{name}": tensor
            for module, network in self._modules().items()
            for name, tensor in network.state_dict().items()
        }
        moments = [parameter for group in self.optimiser.param_groups for parameter in group["params"]]
        if any(name.startswith("optimiser.") for name in tensors):  # there are none before the first step
            for index, parameter in enumerate(moments):
                expected[f"optimiser.{index}.step"] = torch.empty((), device="meta")
                expected[f"optimiser.{index}.exp_avg"] = parameter
                expected[f"optimiser.{index}.exp_avg_sq"] = parameter
        check_tensors(expected, tensors, where)
        for module, network in self._modules().items():
            prefix = f"{module}."
            own = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
            network.load_state_dict(own)
        optimiser = self.optimiser.state_dict()
        for name, tensor in tensors.items():
            if name.startswith("optimiser."):
                _, number, moment = name.split(".")
                optimiser["state"].setdefault(int(number), {})[moment] = tensor.clone()
        self.optimiser.load_state_dict(optimiser)
