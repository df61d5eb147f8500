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

from dataclasses import dataclass
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
    has_kernels: bool
    """Whether the compiled kernels know its state value: the maximum of the scores where it is not soft, log sum e^S or
    log sum p e^S where it is. Others go through torch."""

    def state_value(self, scores: Tensor, log_prior: Tensor) -> Tensor:
        """V(s) of the scores of all classes."""
        ...

    def log_policy(self, logits: Tensor, log_prior: Tensor, temperature: float = 1.0) -> Tensor:
        """log pi(a|s)."""
        ...

    def keeps_trace(self, advantage: Tensor) -> Tensor:
        """bool [..]: whether a multi-step return may pass through an event with this A(s, a), off-policy or not."""
        ...


class Q:
    """Hard maximum. A return over several steps is cut where the event was not greedy (Watkins)."""

    name = "q"
    includes_log_prior = True
    is_soft = False
    has_temperature = True
    has_kernels = True

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
    has_kernels = True

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
    has_kernels = True

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


@dataclass(frozen=True)
class Loss:
    """The mean over melodies and events of the squares of S - goal, beyond a limit linear."""

    limit: float
    """Errors beyond it count 2 `limit` |S - goal| - `limit`^2 (twice Huber's loss); 0 for none."""
    scale: float
    """Its gradients are divided by the square of it."""


def advantage(backup: Backup, logits: Tensor, log_prior: Tensor, events: Tensor) -> Tensor:
    """A(s, a) of an event in each state, [..]: its logit, shifted so that the logits' own state value is 0."""
    return logits.gather(-1, events[..., None])[..., 0] - backup.state_value(logits, log_prior)
