"""What each way of obeying rules pays for it: the rules' reward against the KL to the Note RNN, over several c.

    python scripts/frontier.py                       # everything, about an hour on 2 cores, into runs/frontier/
    python scripts/frontier.py --cs 1 2 --only psi ppo --seeds 0 1 2

Q, Psi and G are tuned with preset quick at each c, PPO with as many events and the same discount; best of n and
sequential Monte Carlo need no training, and their KL is an upper bound. Points go to frontier.json as they are found, and
a second call goes on with what is missing; frontier.png is drawn from it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from baselines import LENGTH, best_of_n, particles, ppo

import rltuner
from rltuner.console import say
from rltuner.eval.diversity import distinct_share
from rltuner.eval.objective import measure
from rltuner.melody import Melodies
from rltuner.melody.plots import pyplot, save_png
from rltuner.networks.compose import compose
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import Policy
from rltuner.rules.book import RuleBook, load_rulebook
from rltuner.tuning.learner import Learner
from rltuner.tuning.presets import preset
from rltuner.tuning.replay import Replay
from rltuner.tuning.round import rounds_of, tune_round

COUNT = 10_000
STYLES = {
    "q": ("v", ":", "Q"),
    "psi": ("o", "-", "Ψ"),
    "g": ("s", "--", "G"),
    "ppo": ("D", "-.", "PPO, KL penalty"),
    "smc": ("^", (0, (1, 1)), "SMC from the Note RNN (KL at most)"),
    "best_of_n": ("x", (0, (5, 1, 1, 1)), "best of n (KL at most)"),
    "note_rnn": ("*", "", "Note RNN"),
}
LABELS = {"g": (-4, 8), "smc": (0, 8), "best_of_n": (-6, 8), "ppo": (-2, -16)}  # where a way's are, in points
SIZES = (4, 16, 64, 256)  # of best of n
PARTICLES = 64
SYSTEMS = 2_000  # melodies of best of n and of particles


def tuned(algo: str, note_rnn: NoteRNN, book: RuleBook, c: float, seed: int) -> Policy:
    """The policy of preset quick at another c, without a run folder."""
    config = preset("quick", algo=algo, c=c, seed=seed)
    learner, replay = Learner(note_rnn, config), Replay(config.replay)
    generator = torch.Generator().manual_seed(seed)
    for round_number in range(rounds_of(config)):
        tune_round(learner, replay, book, generator, round_number)
    return learner.policy


def point(
    way: str, c: float, melodies: Melodies, book: RuleBook, kl: float, is_bound: bool
) -> dict[str, Any]:
    """One point of the picture, nats a melody."""
    reward = float(book.score(melodies)["total"].sum(dim=1).mean())
    return {
        "way": way,
        "c": c,
        "reward": reward,
        "kl": kl,
        "kl_is_bound": is_bound,
        "objective": reward / c - kl,
        "distinct": distinct_share(melodies),
        "melodies": len(melodies),
    }


def ways(
    note_rnn: NoteRNN, book: RuleBook, seed: int, events: int
) -> dict[str, Callable[[float], dict[str, Any]]]:
    """Each way as a function of c (of n, for best of n)."""

    def of_policy(way: str, policy: Policy, c: float) -> dict[str, Any]:
        melodies = compose(policy, COUNT, LENGTH, seed=seed)
        return point(way, c, melodies, book, measure(policy, note_rnn, melodies, book, c).kl, False)

    def steered(c: float) -> dict[str, Any]:
        melodies, kl = particles(note_rnn, book, c, PARTICLES, SYSTEMS, seed)
        return point("smc", c, melodies, book, kl, True)

    def best(n: float) -> dict[str, Any]:
        melodies, kl = best_of_n(note_rnn, book, int(n), SYSTEMS, seed)
        return {**point("best_of_n", 1.0, melodies, book, kl, True), "n": int(n)}

    gamma = preset("quick", algo="psi").gamma
    return {
        "note_rnn": lambda c: of_policy("note_rnn", Policy("note_rnn", note_rnn), c),
        "best_of_n": best,
        "smc": steered,
        **{
            algo: lambda c, algo=algo: of_policy(algo, tuned(algo, note_rnn, book, c, seed), c)  # type: ignore[misc]
            for algo in ("psi", "g", "q")
        },
        "ppo": lambda c: of_policy("ppo", ppo(note_rnn, book, c, events, gamma=gamma, seed=seed), c),
    }


def setting_of(point: dict[str, Any]) -> float:
    """What a way is swept over: n of best of n, else c."""
    return float(point.get("n", point["c"]))


def draw(points: list[dict[str, Any]], file: Path) -> None:
    """Reward against KL; a mark for each seed, hollow where fewer than nine in ten melodies are distinct, and a line
    through their means."""
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(8, 5.4), layout="constrained")
    for way, (marker, style, label) in STYLES.items():
        mine = [p for p in points if p["way"] == way]
        if not mine:
            continue
        settings = sorted({setting_of(p) for p in mine})
        means = [
            [mean(p[name] for p in mine if setting_of(p) == setting) for setting in settings]
            for name in ("kl", "reward")
        ]
        axes.plot(*means, linestyle=style, color="0.5", linewidth=1, zorder=1)
        if way != "note_rnn":
            for setting, kl, reward in zip(settings, *means, strict=True):
                where = LABELS.get(way, (9, -9))
                axes.annotate(
                    f"{setting:g}",
                    (kl, reward),
                    xytext=where,
                    textcoords="offset points",
                    fontsize=7,
                    ha="center",
                )
        for p in mine:
            filled = "black" if p["distinct"] >= 0.9 else "white"
            axes.plot(
                p["kl"], p["reward"], marker, color="black", markerfacecolor=filled, markersize=7, zorder=2
            )
        axes.plot([], [], marker=marker, linestyle=style, color="black", label=label)
    axes.set(xlabel="KL to the Note RNN (nats per melody)", ylabel="rules' reward per melody (magenta book)")
    axes.legend(
        frameon=False, fontsize=9, title="numbers: c, or n\nhollow: < 90 % distinct", title_fontsize=8
    )
    axes.grid(alpha=0.25)
    save_png(figure, file)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cs", type=float, nargs="+", default=[0.5, 0.8, 1.0, 1.5, 2.0, 4.0])
    parser.add_argument("--only", nargs="+", choices=list(STYLES), default=list(STYLES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/frontier"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / "frontier.json"
    points: list[dict[str, Any]] = json.loads(file.read_text()) if file.is_file() else []
    note_rnn, book = NoteRNN.load("event_rnn"), load_rulebook("magenta")
    events = rltuner.preset("quick").events
    wanted = [
        (seed, way, value, find)
        for seed in arguments.seeds
        for way, find in ways(note_rnn, book, seed, events).items()
        if way in arguments.only
        for value in {"best_of_n": SIZES, "note_rnn": (1.0,)}.get(way, tuple(arguments.cs))
    ]
    for seed, way, value, find in wanted:
        if any((p["seed"], p["way"], setting_of(p)) == (seed, way, value) for p in points):
            continue
        started = time.monotonic()
        p = {**find(value), "seed": seed, "seconds": round(time.monotonic() - started)}
        points.append(p)
        file.write_text(json.dumps(points, indent=1) + "\n", encoding="utf-8")
        say(
            f"{way} {'n' if way == 'best_of_n' else 'c'} = {value:g}, seed {seed}: reward {p['reward']:.1f}, KL "
            f"{'at most ' if p['kl_is_bound'] else ''}{p['kl']:.1f}, distinct {p['distinct']:.1%} ({p['seconds']} s)"
        )
    draw(points, arguments.out / "frontier.png")


if __name__ == "__main__":
    main()
