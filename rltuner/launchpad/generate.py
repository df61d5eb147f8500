"""`rltuner launchpad generate`: a policy plays alone, and what it played becomes a MIDI file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rltuner.console import output_console
from rltuner.errors import InputError
from rltuner.launchpad.board.beats import Array
from rltuner.launchpad.board.midi import midi_bytes
from rltuner.launchpad.choices import Start
from rltuner.launchpad.environments.boards import Boards
from rltuner.launchpad.learning.policies import Policy, load_policy
from rltuner.storing.atomic import make_folder, write_atomically


def play_alone(
    policy: Policy, bars: int, *, start: Start = "sparse", epsilon: float = 0.05, seed: int = 0
) -> tuple[Array, Array]:
    """One press before each bar, a share of them random: the bars uint64 [T, N] and their exact rewards float32 [T]."""
    boards = Boards(policy.reward, 1, start=start, seed=seed)
    generator = np.random.default_rng([seed, 2])
    words = np.empty((bars, policy.board.notes), dtype=np.uint64)
    rewards = np.empty(bars, dtype=np.float32)
    for bar in range(bars):
        action = policy.act(boards.states)
        if generator.random() < epsilon:
            action = generator.integers(policy.board.actions, size=1)
        rewards[bar] = boards.step(action)[0]
        words[bar] = boards.words[0]
    return words, rewards


def generate(
    name: str,
    bars: int,
    out: Path,
    qpm: float,
    *,
    start: Start = "sparse",
    epsilon: float = 0.05,
    seed: int = 0,
) -> None:
    """Writes what a policy plays as MIDI. InputError where there is no such policy, or the file exists."""
    if out.exists():
        raise InputError(f"{out}: exists already; give another --out")
    policy = load_policy(name)
    words, rewards = play_alone(policy, bars, start=start, epsilon=epsilon, seed=seed)
    try:
        make_folder(out.parent)
        write_atomically(out, midi_bytes(policy.board, words, qpm))
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror or error})") from None
    output_console.print(
        f"{out}: {bars} bars by {name}; reward {policy.reward.name} {rewards.mean():.3f}, "
        f"in the last bar {rewards[-1]:.3f}",
        markup=False,
        soft_wrap=True,
    )
