"""`rltuner launchpad explore`: the seed's figures 8, 9 and 10, and the table against the exact optimum."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from rltuner.console import output_console
from rltuner.launchpad.board.beats import Array
from rltuner.launchpad.exploring.small import SmallBoard
from rltuner.launchpad.exploring.tabular import (
    BETAS,
    REPLACED_EVERY,
    Session,
    curve,
    judge,
    learn,
    learned_at,
)
from rltuner.melody.plots import pyplot, save_png
from rltuner.storing.output_folder import check_is_empty, filled_folder

SEEDS = 16
LONG = 100_000  # steps, for the table against the optimum


def explore(out: Path, seed: int = 0, repeats: int = 16, sweeps: int = 400) -> dict[str, Any]:
    """Runs the experiment, writes session.png, table.png, beta.png and results.json, and prints what it found."""
    check_is_empty(out)
    small = SmallBoard()
    best = float(small.rewards.max())
    sessions = [learn(small, seed=number) for number in range(seed, seed + SEEDS)]
    first = [learned_at(session.rewards, best) for session in sessions]
    recoveries = [presses for session in sessions for presses in session.recoveries]
    error = [float(np.abs(session.q - small.optimum).max()) for session in sessions]
    greedy = [judge(small, session.q, number) for number, session in enumerate(sessions)]
    rewards = curve(small, BETAS, repeats, sweeps)
    means, errors = rewards.mean(axis=1), rewards.std(axis=1, ddof=1) / np.sqrt(repeats)
    top = int(means.argmax())
    near = [
        beta
        for beta, mean in zip(BETAS, means, strict=True)
        if mean >= means[top] - 2 * max(errors[top], 0.05)
    ]
    results = {
        "states": small.board.codes,
        "actions": small.board.actions,
        "learned_at": first,
        "recoveries": recoveries,
        "entries_still_zero": [int((session.q == 0).sum()) for session in sessions],
        "largest_error_of_q": error,
        "greedy_reward_after_session": greedy,
        "beta": list(BETAS),
        "beta_mean": means.tolist(),
        "beta_error": errors.tolist(),
        "best_beta": BETAS[top],
        "good_betas": [min(near), max(near)],
    }
    with filled_folder(out) as folder:
        plot_session(sessions[0], folder / "session.png")
        plot_table(small, sessions[0].q, folder / "table.png")
        plot_betas(means, errors, sweeps, folder / "beta.png")
        (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    recovered = [presses for presses in recoveries if presses >= 0]
    lines = (
        f"{small.board.codes} states, {small.board.actions} actions, target {''.join(map(str, small.target))}",
        f"the best bar is kept from step {np.median(first):.0f} on (median of {SEEDS} seeds; {min(first)} to "
        f"{max(first)})",
        f"after a random state it is back within {np.median(recovered):.0f} presses (median; at most {max(recovered)}; "
        f"{len(recoveries) - len(recovered)} of {len(recoveries)} not within {REPLACED_EVERY})",
        f"the best beta is {BETAS[top]:.3g} (mean reward {means[top]:.3f}); as good: {min(near):.3g} to {max(near):.3g}",
        f"{out}: session.png, table.png, beta.png, results.json",
    )
    for line in lines:
        output_console.print(line, markup=False, soft_wrap=True)
    return results


def plot_session(session: Session, file: Path) -> None:
    """The reward along a session (the seed's figure 8)."""
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(8, 2.6), layout="constrained")
    axes.plot(np.arange(1, len(session.rewards) + 1), session.rewards, color="black", linewidth=0.6)
    for step in range(REPLACED_EVERY, len(session.rewards), REPLACED_EVERY):
        axes.axvline(step, color="0.6", linestyle=":", linewidth=0.9)
    axes.set_xlabel("step (dotted: the state is replaced at random)", fontsize=8)
    axes.set_ylabel("reward", fontsize=8)
    axes.tick_params(labelsize=7)
    save_png(figure, file)


def plot_table(small: SmallBoard, q: Array, file: Path) -> None:
    """The table after a session, and the exact optimum (the seed's figure 9)."""
    plt = pyplot()
    figure, grid = plt.subplots(1, 2, figsize=(7, 5), layout="constrained")
    for axes, (title, values) in zip(grid, {"learned": q, "optimum": small.optimum}.items(), strict=True):
        picture = axes.imshow(
            values, aspect="auto", cmap="viridis", vmin=min(q.min(), small.optimum.min()), vmax=0
        )
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("action", fontsize=8)
        axes.set_ylabel("state", fontsize=8)
        axes.tick_params(labelsize=7)
    figure.colorbar(picture, ax=grid, label="Q")
    save_png(figure, file)


def plot_betas(means: Array, errors: Array, sweeps: int, file: Path) -> None:
    """The reward after exploration by each beta (the seed's figure 10)."""
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
    axes.errorbar(BETAS, means, errors, color="black", marker="o", markersize=3, linewidth=1, capsize=2)
    axes.axvline(0.2, color="0.6", linestyle=":", linewidth=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("beta (dotted: the best of the paper)", fontsize=8)
    axes.set_ylabel(f"mean reward, greedy, after {sweeps} sweeps", fontsize=8)
    axes.tick_params(labelsize=7)
    save_png(figure, file)
