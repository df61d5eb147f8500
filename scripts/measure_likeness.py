"""What likeness to people costs or gains: how much of a rule book's reward to ask for, and of which form or ending.

    python scripts/measure_likeness.py weights    # melodies of note_rnn chosen by exp(reward / c), without training
    python scripts/measure_likeness.py forms      # melodies of tune with a form and an ending: their shares, and likeness

In 4/4. `weights` is docs/algorithms.md's "Whole tunes": 40,000 melodies of eight bars, 3,000 of them drawn without
replacement. `forms` is docs/generate.md's: 600 melodies each. A few minutes on two cores.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch
from torch import Tensor

from rltuner.eval.form import ends_on, has_form
from rltuner.eval.rewards import reward_counts
from rltuner.eval.sources import HUMAN, read_source
from rltuner.eval.telling import LOGISTIC, TREES, told_apart
from rltuner.generating.forms import copied_steps, until
from rltuner.melody import Melodies, Meter
from rltuner.melody.key import Key
from rltuner.networks.compose import compose
from rltuner.networks.policy import Policy, load
from rltuner.networks.primers import primer_contexts
from rltuner.rules import load_rulebook

BAR = Meter().steps_per_bar
KEY = Key.parse("C major")
COMPOSED, DRAWN, FORMED = 40_000, 3_000, 600
CASES = (
    (16, "AABA", None),
    (16, "AABB", None),
    (8, None, "closed"),
    (8, None, "open"),
    (16, None, "closed"),
    (16, None, "open"),
)


def told(melodies: Melodies) -> str:
    """Both judges' accuracy, in table cells."""
    human = read_source(HUMAN, 0, melodies.events.shape[1])
    found = [told_apart(judge, melodies, human.melodies, None, human.groups) for judge in (LOGISTIC, TREES)]
    return " | ".join(f"{100 * one.value:.1f} ± {50 * (one.high - one.low):.1f}" for one in found)


def weights(book: str) -> None:
    """Reward and likeness of what note_rnn composes, weighed by exp(reward / c)."""
    melodies = compose(load("note_rnn"), COMPOSED, 8 * BAR, seed=1)
    reward = reward_counts(melodies, load_rulebook(book))["total"].numerator
    print(f"| c | {book} reward | KL, nats | told, logistic | told, trees |\n|---|---:|---:|---:|---:|")
    for c in (float("inf"), 12.0, 8.0, 5.0, 3.0):
        share = (reward / c).softmax(dim=0)
        chosen = share.multinomial(DRAWN, generator=torch.Generator().manual_seed(0))
        kl = float((share * (share * len(share)).log()).sum())
        print(
            f"| {c:g} | {float(reward[chosen].mean()):.2f} | {kl:.2f} | {told(melodies[chosen])} |",
            flush=True,
        )


def forms() -> None:
    """Shares that have what is asked for at once and in the end, compositions each, likeness."""
    print("| bars | form | ending | at once | in the end | composed, each | told, logistic | told, trees |")
    print("|---:|---|---|---:|---:|---:|---:|---:|")
    policy = load("tune")
    for bars, form, ending in CASES:
        print(
            f"| {bars} | {form or ''} | {ending or ''} | {formed(policy, bars, form, ending)} |", flush=True
        )


def formed(policy: Policy, bars: int, form: str | None, ending: str | None) -> str:
    """The figures of one case, in table cells."""
    generator = torch.Generator().manual_seed(0)
    contexts = primer_contexts(policy, "random_note", FORMED, generator)
    copied = copied_steps(form, Meter()) if form else None
    batches: list[Melodies] = []

    def composed(primers: Tensor) -> Melodies:
        size = len(primers)
        batches.append(compose(policy, size, bars * BAR, primer=primers, generator=generator, copied=copied))
        return batches[-1]

    melodies = until(composed, contexts, KEY, form, ending)
    shares = []
    for some in (batches[0], melodies):
        fine = has_form(some, form) if form else torch.ones(len(some), dtype=torch.bool)
        fine = fine & ends_on(some, KEY, ending) if ending else fine
        shares.append(f"{100 * float(fine.double().mean()):.1f} %")
    return " | ".join([*shares, f"{sum(map(len, batches)) / FORMED:.1f}", told(melodies)])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["weights", "forms"])
    parser.add_argument("--book", default="gauldin_two_bars", help="of weights")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    if options.what == "weights":
        weights(options.book)
    else:
        forms()


if __name__ == "__main__":
    main()
