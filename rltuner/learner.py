"""The learner: policy, target and reward networks, a value network, and the gradient step they share.

Three copies of the Note RNN, as in the paper: the policy network learns, the target network follows it slowly, the
reward network stays as it is and gives log p. Scores are S(s, a) = V(s) + A(s, a) (see `backups`); A comes from the
policy network's logits and V from a value network of its own, so that the scale of returns does not disturb the policy.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import torch
from torch import Tensor, nn

from rltuner.acting import actor
from rltuner.backups import advantage, excess, targets
from rltuner.compose import BATCH, compose, primer_contexts
from rltuner.config import FinetuneConfig
from rltuner.gradients import Gradients, Loss, flattened, parts_of
from rltuner.melody import Melodies
from rltuner.note_rnn import NoteRNN
from rltuner.output_layer import advantages, log_probabilities
from rltuner.policy import Policy, inputs_of
from rltuner.storage import check_tensors
from rltuner.value import ValueNetwork

Found = TypeVar("Found")
LEAST_SHARE = 64  # melodies; with fewer, two threads are no faster than one
MOMENTS = ("exp_avg", "exp_avg_sq")  # of Adam
VALUE_SCALE = 20.0  # rough size of the rules' return of 32 events, before division by c


def _part(of_melodies: Tensor | None, share: slice) -> Tensor | None:
    return None if of_melodies is None else of_melodies[share]


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
        is_flat = self.policy.network.can_be_compiled(torch.empty(0, device=device))
        weights_of = flattened if is_flat else lambda network: [*network.parameters()]
        self._of_policy, self._of_value = weights_of(self.policy.network), weights_of(self.value)
        self._learned: list[Tensor] = [*self._of_policy, *self._of_value]
        self._targets: list[Tensor] = [*weights_of(self.target_network), *weights_of(self.target_value)]
        self._loss = Loss(limit=config.huber, scale=scale)
        of_both = self.policy.network, self.value, self._loss, self.backup.is_soft
        self.gradients = Gradients(*of_both) if is_flat else None
        """Of a share of a step; None where torch's graph gives them."""
        self.optimiser = torch.optim.Adam(
            [
                {"params": self._of_policy, "lr": config.learning_rate},
                {"params": self._of_value, "lr": config.value_learning_rate},
            ],
            betas=(0.9, 0.99),
            fused=True,
        )
        self._threads = config.threads if device.type == "cpu" else 1
        # What set_num_threads says in a thread holds there, and in threads that begin later; the main one keeps its own.
        self._pool = ThreadPoolExecutor(self._threads, initializer=torch.set_num_threads, initargs=(1,))

    def compose(
        self,
        count: int,
        length: int,
        *,
        generator: torch.Generator,
        temperature: float = 1.0,
        epsilon: float = 0.0,
    ) -> Melodies:
        """Melodies by the policy from random notes, as `compose.compose` has them up to rounding; on the CPU."""
        policy = self.policy
        context = primer_contexts(policy, "random_note", count, generator)
        if not policy.network.can_be_compiled(context):
            return compose(
                policy,
                count,
                length,
                primer=context,
                temperature=temperature,
                generator=generator,
                epsilon=epsilon,
            )
        parts = []
        for first in range(0, max(1, count), BATCH):
            heard = context[first : first + BATCH]
            act, events = actor(policy, heard, length, generator, temperature, epsilon)
            self._by_share(act, len(heard))
            parts.append(events)
        return Melodies(torch.cat(parts), None, context, policy.vocabulary, policy.meter)

    def log_prior(self, melodies: Melodies) -> Tensor:
        """log p(a|s_t) of every class, float32 [B, T, V], from the reward network."""
        return self.log_prior_soon(melodies)()

    def log_prior_soon(self, melodies: Melodies) -> Callable[[], Tensor]:
        """`log_prior` for who has something else to do meanwhile: what gives it, once, when it is there.

        Threads begin at once; where one share is all there is, it waits until it is asked for.
        """
        shares = self._shares(len(melodies))
        if len(shares) == 1:
            return lambda: self._log_prior(melodies)
        found = self._pool.map(lambda share: self._log_prior(melodies[share]), shares)
        return lambda: torch.cat(list(found))

    @torch.no_grad()
    def goals(self, melodies: Melodies, rewards: Tensor, log_prior: Tensor | None = None) -> Tensor:
        """The backup's targets under the target network, float32 [B, T]: what the events' scores should be.

        Args:
          melodies: on the learner's device.
          rewards: of each event, as the algorithm defines them (`Backup.reward`), float32 [B, T].
          log_prior: what `log_prior` gives for these melodies, where it is known already; only G needs it.
        """
        if not self.backup.includes_log_prior and log_prior is None:
            log_prior = self.log_prior(melodies)
        found = self._by_share(
            lambda share: self._values_and_advantages(melodies[share], _part(log_prior, share)), len(melodies)
        )
        value, a = (torch.cat(parts) for parts in zip(*found, strict=True))
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
        if next(self.policy.network.parameters()).data_ptr() != self._of_policy[0].data_ptr():
            raise RuntimeError("the policy has other weights than the learner's: they were replaced")
        found = self._by_share(
            lambda share: self._gradients(
                len(melodies), melodies[share], goals[share], _part(log_prior, share)
            ),
            len(melodies),
        )
        # Copies: torch may give a layer's two biases the same tensor, and Adam takes all as they lie in memory.
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

    def _shares(self, count: int) -> list[slice]:
        """Of `count` melodies, one for each thread.

        An LSTM that has a core to itself gets more out of it than one that divides every step between two.
        """
        size = max(1, -(-count // max(1, min(self._threads, count // LEAST_SHARE))))
        return [slice(first, min(first + size, count)) for first in range(0, max(1, count), size)]

    def _by_share(self, work: Callable[[slice], Found], count: int) -> list[Found]:
        """What `work` finds of each share of `count` melodies, in their order. The first is this thread's own."""
        own, *others = self._shares(count)
        waited_for = [self._pool.submit(work, share) for share in others]
        try:
            found = work(own)
        finally:  # no thread goes on after an error, or a change of what it reads
            wait(waited_for)
        return [found, *(future.result() for future in waited_for)]

    @torch.no_grad()
    def _log_prior(self, melodies: Melodies) -> Tensor:
        network, (inputs, skipped) = self.reward_network, inputs_of(melodies)
        hidden = network.hidden_states(inputs, skipped)
        if network.can_be_compiled(inputs):
            return log_probabilities(hidden, network.output)
        return network.output(hidden).transpose(0, 1).log_softmax(dim=-1)  # type: ignore[no-any-return]

    @torch.no_grad()
    def _values_and_advantages(self, melodies: Melodies, log_prior: Tensor | None) -> tuple[Tensor, Tensor]:
        """V(s_t) and A(s_t, a_t) of every event under the target networks, float32 [B, T] both."""
        value = self.target_value(*inputs_of(melodies))
        return value, self._advantage(self.target_network, melodies, log_prior)

    def _gradients(
        self, in_all: int, melodies: Melodies, goals: Tensor, log_prior: Tensor | None
    ) -> tuple[float, list[Tensor]]:
        """Of some of the `in_all` melodies of a step: their part of the loss, and its gradients by what is learned."""
        if not self.backup.includes_log_prior and log_prior is None:
            log_prior = self._log_prior(melodies)
        share, loss = len(melodies) / in_all, self._loss
        if self.gradients is not None:
            return self.gradients(melodies, goals, log_prior, share)
        score = self.value(*inputs_of(melodies)) + self._advantage(self.policy.network, melodies, log_prior)
        if loss.limit:
            found = share * 2 * nn.functional.huber_loss(score, goals, delta=loss.limit)
        else:
            found = share * (goals - score).square().mean()
        parameters = [*self.policy.network.parameters(), *self.value.parameters()]
        gradients = torch.autograd.grad(found / loss.scale**2, parameters)
        return float(found.detach()), list(gradients)

    def _advantage(self, network: NoteRNN, melodies: Melodies, log_prior: Tensor | None) -> Tensor:
        """A(s_t, a_t) of every event, float32 [B, T]."""
        inputs, skipped = inputs_of(melodies)
        hidden = network.hidden_states(inputs, skipped)
        if not torch.is_grad_enabled() and network.can_be_compiled(melodies.events):
            return advantages(hidden, network.output, melodies.events, log_prior, self.backup.is_soft)
        logits = network.output(hidden).transpose(0, 1)
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
        for first, parameters, weights in self._optimised():
            of_each = [self.optimiser.state[tensor] for tensor in weights]
            for moment in MOMENTS if of_each[0] else ():  # there are none before the first step
                every = torch.cat([of_one[moment].reshape(-1) for of_one in of_each])
                for index, part in enumerate(parts_of(every, parameters), first):
                    named[f"optimiser.{index}.{moment}"] = part
                    named[f"optimiser.{index}.step"] = of_each[0]["step"]
        return named

    def _optimised(self) -> Iterator[tuple[int, list[nn.Parameter], list[Tensor]]]:
        """Of each network: the number of its first parameter, its parameters, and what the optimiser has instead."""
        first = 0
        for network, weights in ((self.policy.network, self._of_policy), (self.value, self._of_value)):
            parameters = list(network.parameters())
            yield first, parameters, weights
            first += len(parameters)

    def restore(self, tensors: Mapping[str, Tensor], where: object) -> None:
        """The inverse of `tensors`; InputError, with nothing changed, where they do not fit."""
        expected = {
            f"{module}.{name}": tensor
            for module, network in self._modules().items()
            for name, tensor in network.state_dict().items()
        }
        has_moments = any(name.startswith("optimiser.") for name in tensors)
        for first, parameters, _ in self._optimised() if has_moments else ():
            for index, parameter in enumerate(parameters, first):
                expected[f"optimiser.{index}.step"] = torch.empty((), device="meta")
                expected |= {f"optimiser.{index}.{moment}": parameter for moment in MOMENTS}
        check_tensors(expected, tensors, where)
        for module, network in self._modules().items():
            prefix = f"{module}."
            own = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
            network.load_state_dict(own)
        for first, parameters, weights in self._optimised() if has_moments else ():
            moments = {}
            for moment in MOMENTS:
                parts = [tensors[f"optimiser.{first + index}.{moment}"] for index in range(len(parameters))]
                moments[moment] = parts_of(torch.cat([part.reshape(-1) for part in parts]), weights)
            for index, tensor in enumerate(weights):
                own = {moment: moments[moment][index] for moment in MOMENTS}
                own["step"] = tensors[f"optimiser.{first}.step"]
                self.optimiser.state[tensor] = {n: t.to(tensor.device, copy=True) for n, t in own.items()}
