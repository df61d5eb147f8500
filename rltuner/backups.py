"""Q, Psi and G learning: the only place where the three algorithms differ.

Each learns *scores* S(s, a) of the next event a in state s (what was heard so far), written as a state value and an
advantage, S(s, a) = V(s) + A(s, a), so that the large common part of all classes is one number:

=====  ==========================================  =======================  ==============================
       backup (one step)                           V(s)                     policy
=====  ==========================================  =======================  ==============================
Q      r/c + log p(a|s) + gamma max_a' Q(s', a')     max_a Q                  softmax(Q / temperature)
Psi    r/c + log p(a|s) + gamma log sum_a' e^Psi     log sum_a e^Psi          softmax(Psi)
G      r/c + gamma log sum_a' p(a'|s') e^G           log sum_a p e^G          softmax(log p + G)
=====  ==========================================  =======================  ==============================

r is the rules' reward, p the frozen Note RNN. Networks give logits f [.., V]; each algorithm makes its A of them so
that A's own state value is 0: max A = 0, log sum e^A = 0 and log sum p e^A = 0.

Source: Jaques et al. 2017; Q: Watkins 1989; Psi: Rawlik, Toussaint, Vijayakumar 2012; G: Fox, Pakman, Tishby 2016.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from rltuner.errors import InputError


class Backup(Protocol):
    """One algorithm. Shapes: logits, log_prior and scores [.., V]; everything else [..]."""

    name: str
    includes_log_prior: bool
    """Whether log p(a|s) is part of the reward (Q, Psi) or of the policy (G)."""
    is_soft: bool
    """Whether the values know the policy's probabilities (Psi, G), so that a bound on them can cost something."""

    has_temperature: bool
    """Whether the policy is that of the logits divided by a temperature (Q)."""

    def state_value(self, scores: Tensor, log_prior: Tensor) -> Tensor:
        """V(s) of the scores of all classes."""
        ...

    def log_policy(self, logits: Tensor, log_prior: Tensor, temperature: float = 1.0) -> Tensor:
        """log pi(a|s)."""
        ...

    def keeps_trace(self, advantage: Tensor) -> Tensor:
        """bool [..]: a return that passes through an event of this A(s, a) is valid although another policy chose it."""
        ...


class Q:
    """Hard maximum. A return over several steps is cut where the event was not greedy (Watkins)."""

    name = "q"
    includes_log_prior = True
    is_soft = False
    has_temperature = True

    def state_value(self, scores: Tensor, log_prior: Tensor) -> Tensor:
        return scores.amax(dim=-1)

    def log_policy(self, logits: Tensor, log_prior: Tensor, temperature: float = 1.0) -> Tensor:
        return (logits / temperature).log_softmax(dim=-1)

    def keeps_trace(self, advantage: Tensor) -> Tensor:
        return advantage >= 0


class Psi:
    """Soft maximum, log p in the reward. Path consistency holds for every event, whoever chose it."""

    name = "psi"
    includes_log_prior = True
    is_soft = True
    has_temperature = False

    def state_value(self, scores: Tensor, log_prior: Tensor) -> Tensor:
        return scores.logsumexp(dim=-1)

    def log_policy(self, logits: Tensor, log_prior: Tensor, temperature: float = 1.0) -> Tensor:
        return logits.log_softmax(dim=-1)

    def keeps_trace(self, advantage: Tensor) -> Tensor:
        return torch.ones_like(advantage, dtype=torch.bool)


class G:
    """Soft maximum relative to p, log p in the policy instead of the reward."""

    name = "g"
    includes_log_prior = False
    is_soft = True
    has_temperature = False

    def state_value(self, scores: Tensor, log_prior: Tensor) -> Tensor:
        return (log_prior + scores).logsumexp(dim=-1)

    def log_policy(self, logits: Tensor, log_prior: Tensor, temperature: float = 1.0) -> Tensor:
        return (log_prior + logits).log_softmax(dim=-1)

    def keeps_trace(self, advantage: Tensor) -> Tensor:
        return torch.ones_like(advantage, dtype=torch.bool)


BACKUPS: dict[str, Backup] = {backup.name: backup for backup in (Q(), Psi(), G())}


def backup_named(name: str) -> Backup:
    """The algorithm called q, psi or g; InputError otherwise."""
    if name not in BACKUPS:
        raise InputError(f"unknown algorithm {name!r}; use one of {', '.join(BACKUPS)}")
    return BACKUPS[name]


def advantage(backup: Backup, logits: Tensor, log_prior: Tensor, events: Tensor) -> Tensor:
    """A(s, a) of an event in each state, [..]: its logit, shifted so that the logits' own state value is 0."""
    return logits.gather(-1, events[..., None])[..., 0] - backup.state_value(logits, log_prior)


def reward(backup: Backup, rule_rewards: Tensor, log_prior_of_events: Tensor) -> Tensor:
    """The reward of each event as the algorithm defines it: r/c, and for Q and Psi log p(a|s) besides."""
    return rule_rewards + log_prior_of_events if backup.includes_log_prior else rule_rewards


def excess(log_policy: Tensor, most: float) -> Tensor:
    """How much likelier than `most` each event makes its melody, in nats, float32 [B, T].

    The first quarter of a melody may be as likely as it likes; from there on the log-probability of what was played may
    be at most its share of `most`, which grows evenly. What lies beyond is counted when it arises, and less where it
    goes again, so that the sum is what the whole melody has beyond `most`, or 0.

    Args:
      log_policy: log pi of the events played, [B, T].
      most: a log-probability of whole melodies, below 0.
    """
    length = log_policy.shape[1]
    free = length // 4
    pace = (
        most * (torch.arange(1 - free, length + 1 - free, device=log_policy.device) / (length - free)).relu()
    )
    beyond = (log_policy.cumsum(dim=1) - pace).relu()
    return torch.diff(beyond, dim=1, prepend=torch.zeros_like(beyond[:, :1]))


def targets(
    rewards: Tensor,
    values: Tensor,
    scores_of_events: Tensor,
    keeps_trace: Tensor,
    gamma: float,
    trace: float,
) -> Tensor:
    """What the scores of the events played should be, float32 [B, T].

    y_t = reward_t + gamma [V(s_{t+1}) + trace * keep_{t+1} * (y_{t+1} - S(s_{t+1}, a_{t+1}))], from the end backwards.
    A melody's last event is terminal: y_{T-1} = reward_{T-1}. With trace = 0 this is the one-step backup of the table.

    Args:
      rewards: of each event (`reward`), [B, T].
      values, scores_of_events: V(s_t) and S(s_t, a_t) under the target network, [B, T].
      keeps_trace: of each event, bool [B, T] (`Backup.keeps_trace`).
      gamma: discount a step, in [0, 1].
      trace: lambda, in [0, 1].
    """
    correction = torch.where(keeps_trace, trace, 0.0)
    y = torch.empty_like(rewards)
    following = torch.zeros_like(rewards[:, 0])
    for t in range(rewards.shape[1] - 1, -1, -1):
        y[:, t] = rewards[:, t] + gamma * following
        following = values[:, t] + correction[:, t] * (y[:, t] - scores_of_events[:, t])
    return y
