"""Policies: what to press in a state. Learned ones are checkpoints; the others need none.

A checkpoint holds the network, the bars of music that its reward is by, and the board; kind "launchpad".
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rltuner.errors import InputError, suggest
from rltuner.launchpad.board.beats import Array, Board
from rltuner.launchpad.learning.networks import UNITS, QNetwork
from rltuner.launchpad.rewards.rewards import KINDS, Bars, Reward
from rltuner.storing.checkpoints import CONFIG, check_tensors, read_checkpoint, write_checkpoint

KIND = "launchpad"
Values = Callable[[Array], Array]
"""From states int32 [B, N] to how good each press is: float32 [B, actions]."""


@dataclass(frozen=True)
class Policy:
    """What presses, with the reward that it plays for."""

    name: str
    reward: Reward
    values: Values

    @property
    def board(self) -> Board:
        """The board that it plays."""
        return self.reward.bars.board

    def act(self, states: Array, allowed: Array | None = None) -> Array:
        """The best press in each state, int64 [B], of those that `allowed`, bool [actions], holds."""
        values = self.values(states)
        if allowed is not None:
            values = np.where(allowed, values, -np.inf)
        actions: Array = values.argmax(axis=1).astype(np.int64)
        return actions


def load_policy(name_or_folder: str) -> Policy:
    """A shipped policy by name, `greedy`, a checkpoint's folder or a run's. InputError, with names, for anything else."""
    if name_or_folder == "greedy":
        learned = load_policy(shipped_policies()[0])
        return greedy(learned.reward)
    folder = find_policy(name_or_folder)
    config, tensors = read_checkpoint(folder)
    return _from_checkpoint(folder, name_or_folder, config, tensors)


def _from_checkpoint(
    folder: Path, name: str, config: Mapping[str, Any], tensors: dict[str, Tensor]
) -> Policy:
    where = folder / CONFIG
    if config["kind"] != KIND:
        raise InputError(
            f"{where}: of kind {config['kind']!r}; a policy of the launchpad is of kind {KIND!r}"
        )
    size, network, kind = config.get("board"), config.get("network"), config.get("reward")
    if (
        not isinstance(size, dict)
        or size.keys() != {"notes", "levels", "lowest"}
        or any(type(value) is not int for value in size.values())
        or network not in UNITS
        or kind not in KINDS
        or type(config.get("dueling")) is not bool
        or not isinstance(tensors.get("bars"), Tensor)
        or tensors["bars"].dtype != torch.int64
    ):
        raise InputError(f"{where}: not the configuration of a policy of the launchpad")
    board = Board(**size)
    weights = {name: tensor for name, tensor in tensors.items() if name != "bars"}
    with torch.device("meta"):  # takes no memory, whatever the configuration asks for
        check_tensors(QNetwork(board, network, dueling=config["dueling"]).state_dict(), weights, folder)
    q = QNetwork(board, network, dueling=config["dueling"])
    q.load_state_dict(weights)
    reward = Reward(Bars(board, tensors["bars"].numpy().view(np.uint64)), kind)
    return learned(name, q, reward)


def learned(name: str, network: QNetwork, reward: Reward) -> Policy:
    """The policy of a network."""
    bits = torch.from_numpy(network.board.bits)

    @torch.inference_mode()
    def values(states: Array) -> Array:
        found: Array = network(bits[torch.from_numpy(states.astype(np.int64))].flatten(1)).numpy()
        return found

    return Policy(os.path.basename(os.path.normpath(name)), reward, values)


def greedy(reward: Reward) -> Policy:
    """Presses what the exact reward is largest after; nothing where no press gains."""
    nothing = reward.bars.board.nothing

    def values(states: Array) -> Array:
        found = reward.of_actions(states)
        found[:, nothing] += 1e-6  # a press that changes nothing that is heard is no press
        return found

    return Policy("greedy", reward, values)


def save_policy(folder: Path, network: QNetwork, reward: Reward, **facts: Any) -> str:
    """Writes a checkpoint; its SHA-256."""
    board = network.board
    config = {
        "kind": KIND,
        "board": {"notes": board.notes, "levels": board.levels, "lowest": board.lowest},
        "network": network.name,
        "dueling": network.dueling,
        "reward": reward.name,
        **facts,
    }
    bars = torch.from_numpy(reward.bars.words.view(np.int64).copy())
    return write_checkpoint(folder, config, {**network.state_dict(), "bars": bars})


def shipped_policies() -> list[str]:
    """Names of the policies that come with the package."""
    folder = Path(str(resources.files("rltuner.launchpad"))) / "policies"
    return (
        sorted(entry.name for entry in folder.iterdir() if (entry / CONFIG).is_file())
        if folder.is_dir()
        else []
    )


def find_policy(name_or_folder: str) -> Path:
    """The folder of a policy: a shipped name first, else a path, of a run too. InputError where there is neither."""
    names = shipped_policies()
    if name_or_folder in names:
        return Path(str(resources.files("rltuner.launchpad"))) / "policies" / name_or_folder
    folder = Path(name_or_folder)
    if os.path.isfile(folder / "policy" / CONFIG):
        return folder / "policy"
    if not os.path.isfile(folder / CONFIG):
        known = [*names, "greedy"]
        raise InputError(
            f"{name_or_folder}: no such policy; {suggest(name_or_folder, known)}, or give a run's folder"
        )
    return folder
