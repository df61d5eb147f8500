"""Tabular Q-learning on the small board, and exploration by rewards.

Q(s, a) <- (1 - alpha) Q(s, a) + alpha (R(s) + gamma max over a' of Q(T(s, a), a')), from Q = 0, which is optimistic: no
reward is above 0.

`learn` acts by epsilon = 1 / t. `explore` sweeps all actions in turn: a press is kept by the chance
min(1, exp(beta times what it gains)), so that states are visited in proportion to exp(beta R) (Metropolis et al., 1953);
then the greedy policy of its table is judged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rltuner.launchpad.board.beats import Array
from rltuner.launchpad.exploring.small import ALPHA, GAMMA, SmallBoard

SWEEPS, JUDGED, REPEATS = 400, 400, 16
REPLACED_EVERY = 500
BETAS = tuple(float(b) for b in np.logspace(-3, 2, 21))


@dataclass(frozen=True)
class Session:
    """A session of learning."""

    rewards: Array
    """Of the state after each step: float64 [steps]."""
    q: Array
    """At its end: float64 [32, 6]."""
    table_done: int
    """Steps after which the greedy policy from every state keeps to a shortest way to the best bar; -1 if never."""
    recoveries: tuple[int, ...]
    """Presses from each replacement of the state until the best reward was there again; -1 where it was not."""


def update(small: SmallBoard, q: Array, state: int, action: int) -> int:
    """Learns from a press; the state after it."""
    after = int(small.following[state, action])
    q[state, action] += ALPHA * (small.rewards[state] + GAMMA * q[after].max() - q[state, action])
    return after


def learn(small: SmallBoard, steps: int = 2500, seed: int = 0) -> Session:
    """Acts greedily but for a share of 1 / t, learns from every step; every 500 steps the state is replaced at random."""
    generator = np.random.default_rng(seed)
    states, actions = small.following.shape
    q, state, best = np.zeros((states, actions)), 0, small.rewards.max()
    rewards = np.empty(steps)
    recoveries: list[int] = []
    since, done = -1, -1
    for t in range(1, steps + 1):
        if t > 1 and (t - 1) % REPLACED_EVERY == 0:
            state, since = int(generator.integers(states)), 0
            recoveries.append(-1)
        if generator.random() < 1 / t:
            action = int(generator.integers(actions))
        else:  # ties are broken at random: in the beginning all are ties
            action = int(generator.choice(np.flatnonzero(q[state] == q[state].max())))
        state = update(small, q, state, action)
        rewards[t - 1] = small.rewards[state]
        if since >= 0:
            since += 1
            if rewards[t - 1] == best:
                recoveries[-1], since = since, -1
        if done < 0 and greedy_is_best(small, q):
            done = t
    return Session(rewards, q, done, tuple(recoveries))


def learned_at(rewards: Array, best: float, stays: int = 50) -> int:
    """The step from which on the reward is the best one for `stays` steps together; -1 where it never is."""
    row = 0
    for step, reward in enumerate(rewards, start=1):
        row = row + 1 if reward == best else 0
        if row == stays:
            return step - stays + 1
    return -1


def greedy_is_best(small: SmallBoard, q: Array) -> bool:
    """Whether the table's greedy policy goes a shortest way to the best bar from every state, and stays at such bars."""
    after = small.following[np.arange(len(q)), q.argmax(axis=1)]
    left = small.distance
    return bool((left[after] <= np.maximum(left - 1, 0)).all())


def explore(small: SmallBoard, beta: float, seed: int, sweeps: int = SWEEPS) -> Array:
    """The table after sweeps over all actions, from the empty state: float64 [32, 6].

    Each trial is learned from, whether its press is kept or not.
    """
    generator = np.random.default_rng(seed)
    states, actions = small.following.shape
    q, state = np.zeros((states, actions)), 0
    for _ in range(sweeps):
        for action in range(actions):
            after = update(small, q, state, action)
            gain = small.rewards[after] - small.rewards[state]
            if gain >= 0 or generator.random() < np.exp(beta * gain):
                state = after
    return q


def judge(small: SmallBoard, q: Array, seed: int, steps: int = JUDGED) -> float:
    """The mean reward of greedy steps from a random state; ties are broken at random."""
    generator = np.random.default_rng(seed)
    state, total = int(generator.integers(len(q))), 0.0
    for _ in range(steps):
        action = int(generator.choice(np.flatnonzero(q[state] == q[state].max())))
        state = int(small.following[state, action])
        total += small.rewards[state]
    return total / steps


def curve(
    small: SmallBoard, betas: tuple[float, ...] = BETAS, repeats: int = REPEATS, sweeps: int = SWEEPS
) -> Array:
    """The mean reward after exploration by each beta: float64 [betas, repeats]."""
    return np.array(
        [
            [judge(small, explore(small, beta, seed, sweeps), 1000 + seed) for seed in range(repeats)]
            for beta in betas
        ]
    )
