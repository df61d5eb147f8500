"""What Q, Psi and G are compared with: best of n, sequential Monte Carlo, and PPO with a KL penalty, as plain as can be.

All start from the Note RNN p and serve one aim, J = E[sum of r / c] - KL(pi || p).
"""

from __future__ import annotations

import math

import torch

from rltuner.melody import Melodies
from rltuner.networks.compose import compose
from rltuner.networks.devices import undivided
from rltuner.networks.inputs.heard import inputs_of
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.particles import steer
from rltuner.networks.policy import Policy
from rltuner.networks.primers import primer_contexts
from rltuner.networks.value import ValueNetwork
from rltuner.rules.book import RuleBook
from rltuner.tuning.config import FinetuneConfig
from rltuner.tuning.learner import VALUE_SCALE

LENGTH = 32


def best_of_n(note_rnn: NoteRNN, book: RuleBook, n: int, count: int, seed: int) -> tuple[Melodies, float]:
    """`count` melodies, each the best paid of n, and an upper bound of their KL to p: log n - (n - 1) / n nats.

    The bound holds for best of n after one primer (Beirami et al. 2024, "Theoretical guarantees on the best-of-n
    alignment policy"), so all n follow the same one.
    """
    generator = torch.Generator().manual_seed(seed)
    policy = Policy("note_rnn", note_rnn)
    contexts = primer_contexts(policy, "random_note", count, generator).repeat_interleave(n, dim=0)
    melodies = compose(policy, count * n, LENGTH, primer=contexts, generator=generator)
    parts = [
        book.score(part)["total"].sum(dim=1)
        for part in (melodies[i : i + 8192] for i in range(0, count * n, 8192))
    ]
    best = torch.cat(parts).view(count, n).argmax(dim=1) + n * torch.arange(count)
    return melodies[best], math.log(n) - (n - 1) / n


def particles(
    note_rnn: NoteRNN, book: RuleBook, c: float, size: int, count: int, seed: int
) -> tuple[Melodies, float]:
    """One melody of each of `count` particle systems, and an upper bound of their KL to p: E[sum r / c] - E[log Z-hat].

    The bound is that of the extended target of particle systems (Maddison et al. 2017, "Filtering variational
    objectives").
    """
    generator = torch.Generator().manual_seed(seed)
    policy = Policy("note_rnn", note_rnn)
    contexts = primer_contexts(policy, "random_note", count, generator)
    systems = steer(policy, note_rnn, book, c, contexts, LENGTH, size, generator)
    melodies = systems.draw(generator)
    reward = float(book.score(melodies)["total"].sum(dim=1).mean())
    return melodies, reward / c - float(systems.log_z.mean())


@undivided()
def ppo(
    note_rnn: NoteRNN,
    book: RuleBook,
    c: float,
    events: int,
    *,
    gamma: float,
    seed: int = 0,
    batch: int = 256,
    minibatch: int = 64,
    epochs: int = 4,
    clip: float = 0.2,
    trace: float = 0.95,
    learning_rate: float = 1e-3,
) -> Policy:
    """Proximal policy optimisation (Schulman et al. 2017), the KL penalty as a part of each event's reward.

    The reward of event t is r_t / c - (log pi - log p), rewards of the end paid as they are earned, like the others'.
    """
    generator = torch.Generator().manual_seed(seed)
    policy = Policy.tuned_from("psi", note_rnn)  # a copy of p whose softmax is the policy
    policy.network.requires_grad_(True)
    value = ValueNetwork(note_rnn, FinetuneConfig.value_units, LENGTH, VALUE_SCALE / c, seed)
    prior = Policy("note_rnn", note_rnn)
    optimiser = torch.optim.Adam(
        [
            {"params": list(policy.network.parameters()), "lr": learning_rate},
            {"params": list(value.parameters()), "lr": 5 * learning_rate},
        ]
    )
    for _ in range(-(-events // (batch * LENGTH))):
        melodies = compose(policy, batch, LENGTH, generator=generator)
        with torch.no_grad():
            old = policy.log_prob(melodies)  # (B, T), as all that follows
            scores = book.score(melodies)
            reward = book.earned(melodies, scores) / c - (old - prior.log_prob(melodies))
            values = value(inputs_of(melodies))
            advantage = torch.zeros_like(reward)
            following, ahead = torch.zeros(batch), torch.zeros(batch)
            for t in reversed(range(LENGTH)):  # generalised advantage estimation
                following = reward[:, t] + gamma * ahead - values[:, t] + gamma * trace * following
                advantage[:, t], ahead = following, values[:, t]
            goals = advantage + values
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        for _ in range(epochs):
            for part in torch.randperm(batch, generator=generator).split(minibatch):
                chosen = melodies[part]
                heard = inputs_of(chosen)
                log_policy = policy(heard).gather(2, chosen.events[..., None])[..., 0]
                ratio = (log_policy - old[part]).exp()
                gain = torch.minimum(
                    ratio * advantage[part], ratio.clamp(1 - clip, 1 + clip) * advantage[part]
                )
                error = (value(heard) - goals[part]).square().mean() / value.scale**2
                optimiser.zero_grad()
                (error - gain.mean()).backward()
                torch.nn.utils.clip_grad_norm_(policy.network.parameters(), 1.0)
                torch.nn.utils.clip_grad_norm_(value.parameters(), 1.0)
                optimiser.step()
    return policy
