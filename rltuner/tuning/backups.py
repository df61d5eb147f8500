"""The backup: what the score of each event played should be."""

from __future__ import annotations

import torch
from torch import Tensor

from rltuner.networks.algorithms import Backup


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
