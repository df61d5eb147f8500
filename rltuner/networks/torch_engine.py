"""Batches of melodies by torch, on any device: composing, log-probabilities, a step's gradients.

On the CPU each thread takes a share of the melodies: an LSTM that has a core to itself gets more out of it than one that
divides every step between two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn

from rltuner.melody import Melodies
from rltuner.networks.algorithms import Loss, advantage
from rltuner.networks.compose import compose
from rltuner.networks.devices import undivided
from rltuner.networks.inputs.heard import Heard, inputs_of
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import Policy
from rltuner.networks.value import ValueNetwork
from rltuner.networks.weights import Weights

Found = TypeVar("Found")
LEAST_SHARE = 64  # melodies; with fewer, two threads are no faster than one


class TorchEngine:
    """See `engine`. Scores are S(s, a) = V(s) + A(s, a) (see `algorithms`): A of a policy's network, V of a value
    network."""

    is_flat = False
    """Whether the weights of a network are one tensor."""

    def __init__(
        self, policy: Policy, value: ValueNetwork, note_rnn: NoteRNN, loss: Loss, threads: int
    ) -> None:
        self.policy, self.value, self.note_rnn, self.loss = policy, value, note_rnn, loss
        self.backup = policy.backup
        self._weights: dict[nn.Module, Weights] = {}
        on_cpu = policy.network.output.weight.device.type == "cpu"
        self._threads = threads if on_cpu else 1
        # What set_num_threads says in a thread holds there, and in threads that begin later; the main one keeps its own.
        self._pool = ThreadPoolExecutor(self._threads, initializer=torch.set_num_threads, initargs=(1,))

    def weights(self, network: nn.Module) -> Weights:
        """The weights of a network for an optimiser; the same object whenever they are asked for.

        `gradients` are by the tensors of the policy network's, then by those of V's.
        """
        if network not in self._weights:
            self._weights[network] = Weights(network, self.is_flat)
        return self._weights[network]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """While inside, the cores are the engine's: torch divides no operation of the caller's between threads."""
        with undivided():
            yield

    def release(self) -> None:
        """Ends the engine: its threads stop, and the networks step by torch again. Weights stay as they are."""
        self._pool.shutdown()

    def compose(
        self, contexts: Tensor, length: int, generator: torch.Generator, temperature: float, epsilon: float
    ) -> Melodies:
        """Melodies [B, T] by the policy after contexts int64 [B, P], as `compose.compose` has them; on the CPU."""
        return compose(
            self.policy,
            len(contexts),
            length,
            primer=contexts,
            temperature=temperature,
            generator=generator,
            epsilon=epsilon,
        )

    def log_prior(self, melodies: Melodies) -> Tensor:
        """log p(a|s_t) of every class, float32 [B, T, V], from the Note RNN."""
        return self.log_prior_soon(melodies)()

    def log_prior_soon(self, melodies: Melodies) -> Callable[[], Tensor]:
        """`log_prior` in the background: starts the engine's threads, and returns a function that waits for the result.

        Call that function once. With one thread nothing runs in the background: it does the work when it is called.
        """
        shares = self._shares(len(melodies))
        if len(shares) == 1:
            return lambda: self._log_prior(melodies)
        found = self._pool.map(lambda share: self._log_prior(melodies[share]), shares)
        return lambda: torch.cat(list(found))

    def scores(
        self, network: NoteRNN, value: ValueNetwork, melodies: Melodies, log_prior: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """V(s_t) and A(s_t, a_t) of every event, float32 [B, T] both, without gradients.

        Args:
          network, value: that give A and V.
          melodies: on the networks' device.
          log_prior: log p of every class where the algorithm refers to it (G), float32 [B, T, V], else None.
        """
        found = self._by_share(
            lambda share: self._scores(network, value, melodies[share], part(log_prior, share)), len(melodies)
        )
        values, advantages = (torch.cat(parts) for parts in zip(*found, strict=True))
        return values, advantages

    def gradients(
        self, melodies: Melodies, goals: Tensor, log_prior: Tensor | None
    ) -> tuple[float, list[Tensor]]:
        """The loss of the policy network's and V's scores, nats squared, and its gradients by their `weights`.

        Args:
          melodies: on the networks' device.
          goals: what the score of each event should be, float32 [B, T].
          log_prior: as `scores` has it.

        RuntimeError where the policy's weights were replaced, as by `policy.double()`.
        """
        if self.weights(self.policy.network).are_replaced():
            raise RuntimeError("the policy has other weights than those that are learned: they were replaced")
        found = self._by_share(
            lambda share: self._gradients(
                len(melodies), melodies[share], goals[share], part(log_prior, share)
            ),
            len(melodies),
        )
        # Copies: torch may give a layer's two biases the same tensor, and Adam takes all as they lie in memory.
        gradients = [gradient.clone(memory_format=torch.contiguous_format) for gradient in found[0][1]]
        for _, more in found[1:]:
            torch._foreach_add_(gradients, more)
        return sum(loss for loss, _ in found), gradients

    # Shares of a batch

    def _shares(self, count: int) -> list[slice]:
        """A batch of `count` melodies as slices of nearly one size, one for each thread."""
        size = max(1, -(-count // max(1, min(self._threads, count // LEAST_SHARE))))
        return [slice(first, min(first + size, count)) for first in range(0, max(1, count), size)]

    def _by_share(self, work: Callable[[slice], Found], count: int) -> list[Found]:
        """Runs `work` on each thread's share of a batch of `count` melodies; the results in the shares' order.

        The calling thread works on the first share itself.
        """
        own, *others = self._shares(count)
        waited_for = [self._pool.submit(work, share) for share in others]
        try:
            found = work(own)
        finally:  # no thread goes on after an error, or a change of what it reads
            wait(waited_for)
        return [found, *(future.result() for future in waited_for)]

    @torch.no_grad()
    def _log_prior(self, melodies: Melodies) -> Tensor:
        return self.note_rnn.unrolled(inputs_of(melodies)).log_softmax(dim=-1)

    @torch.no_grad()
    def _scores(
        self, network: NoteRNN, value: ValueNetwork, melodies: Melodies, log_prior: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        heard = inputs_of(melodies)
        return value(heard), self._advantage(network, heard, melodies, log_prior)

    def _advantage(
        self, network: NoteRNN, heard: Heard, melodies: Melodies, log_prior: Tensor | None
    ) -> Tensor:
        """A(s_t, a_t) of every event, float32 [B, T]; `heard` is `inputs_of` the melodies."""
        logits = network.unrolled(heard)
        return advantage(self.backup, logits, logits if log_prior is None else log_prior, melodies.events)

    def _gradients(
        self, in_all: int, melodies: Melodies, goals: Tensor, log_prior: Tensor | None
    ) -> tuple[float, list[Tensor]]:
        """The part of a step's loss that some of its `in_all` melodies make up, and the gradients of that part."""
        share, heard = len(melodies) / in_all, inputs_of(melodies)
        score = self.value(heard) + self._advantage(self.policy.network, heard, melodies, log_prior)
        if self.loss.limit:
            found = share * 2 * nn.functional.huber_loss(score, goals, delta=self.loss.limit)
        else:
            found = share * (goals - score).square().mean()
        parameters = [*self.policy.network.parameters(), *self.value.parameters()]
        gradients = torch.autograd.grad(found / self.loss.scale**2, parameters)
        return float(found.detach()), list(gradients)


def part(of_melodies: Tensor | None, share: slice) -> Tensor | None:
    """The rows of a tensor [B, ...] that belong to a share of the batch; None where there is no tensor."""
    return None if of_melodies is None else of_melodies[share]
