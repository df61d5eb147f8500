"""Tunes Q, Psi and G from the paper's network with the best preset, and prints the paper's table with what it lacked.

    python scripts/reproduce_paper.py                       # q, psi and g as shipped, into runs/paper/
    python scripts/reproduce_paper.py psi --seeds 0 1 2     # three seeds of psi
    python scripts/reproduce_paper.py --only-table          # of the shipped checkpoints, nothing is tuned

Each tuning takes up to 20 minutes on one core. The figures go to table.md and table.json in the same folder.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

import rltuner
from rltuner.console import output_console
from rltuner.eval.diversity import distinct_share, mean_edit_distance
from rltuner.eval.objective import measure
from rltuner.eval.paper import evaluate
from rltuner.eval.published import PUBLISHED
from rltuner.eval.rows import PAPER, PAPER_ROWS, Row
from rltuner.eval.table import markdown_table, without_intervals
from rltuner.networks.compose import compose
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import load
from rltuner.rules import load_rulebook
from rltuner.tuning.presets import EVENT_RNN

COUNT, LENGTH = 100_000, 32
SHIPPED = {"q": 6, "psi": 0, "g": 0}  # seeds
MORE = (
    Row("distinct", "Distinct melodies", PAPER, "↑"),
    Row("edit_distance", "Mean edit distance", PAPER, "↑", "number"),
    Row("edit_share", "… of the Note RNN's", PAPER, "↑"),
    Row("kl", "KL to the Note RNN, nats an event", PAPER, "", "number"),
    Row("objective", "J, nats a melody", PAPER, "↑", "number"),
)


def figures(source: str, temperature: float, c: float) -> dict[str, float]:
    """The paper's rows and more of `COUNT` melodies, one ancestral pass each from random-note primers."""
    policy, book, note_rnn = load(source), load_rulebook("magenta"), NoteRNN.load(EVENT_RNN)
    melodies = compose(policy, COUNT, LENGTH, seed=2026, temperature=temperature)
    found = measure(policy, note_rnn, melodies[:10_000], book, c)
    return {
        **evaluate(melodies),
        "distinct": distinct_share(melodies),
        "edit_distance": mean_edit_distance(melodies)[0],
        "kl": found.kl / LENGTH,
        "objective": found.objective,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("algos", nargs="*", default=["q", "psi", "g"], help="q, psi or g")
    parser.add_argument("--seeds", type=int, nargs="+", help="those of the shipped policies if not given")
    parser.add_argument("--out", type=Path, default=Path("runs/paper"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only-table", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    sources = {}
    for algo in arguments.algos:
        for seed in arguments.seeds or [SHIPPED[algo]]:
            run = arguments.out / f"{algo}-seed{seed}"
            if arguments.only_table:
                sources[algo] = algo
            else:
                config = rltuner.preset("best", algo=algo, seed=seed, out=run, threads=arguments.threads)
                sources[f"{algo} (seed {seed})"] = str(run if run.exists() else rltuner.finetune(config))
    c = rltuner.preset("best", algo="psi").c
    columns = {EVENT_RNN: figures(EVENT_RNN, 1.0, c)}
    columns |= {name: figures(source, 1.0, c) for name, source in sources.items()}
    for column in columns.values():
        column["edit_share"] = column["edit_distance"] / columns[EVENT_RNN]["edit_distance"]
    text = (
        f"{COUNT:,} melodies of {LENGTH} events, temperature 1, random-note primers; J at c = {c:g}.\n\n"
        + markdown_table(without_intervals(columns | PUBLISHED), (*PAPER_ROWS, *MORE))
    )
    output_console.print(text, markup=False, soft_wrap=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "table.md").write_text(text, encoding="utf-8")
    (arguments.out / "table.json").write_text(json.dumps(columns, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
