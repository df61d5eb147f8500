"""Speed of what users wait for, on this machine: medians of several runs.

python scripts/bench.py rules       # scoring 4,096 melodies of 32 events with the magenta book, one thread
python scripts/bench.py evaluate    # 100,000 melodies: the paper's rows; everything, composing included
python scripts/bench.py compose     # events per second of the shipped Note RNN
python scripts/bench.py tune        # events per second of tuning, preset quick, and where the time goes
python scripts/bench.py launchpad   # bar-words a second, beside numpy and faiss; boards; steps of learning, beside SB3
python scripts/bench.py all
"""

from __future__ import annotations

import itertools
import resource
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

import rltuner
from rltuner.eval import evaluate
from rltuner.eval.copying import TrainingTunes
from rltuner.eval.judge import Standards, judge
from rltuner.eval.sources import read_source
from rltuner.melody import Melodies
from rltuner.melody.tunes import training_tunes
from rltuner.networks.devices import undivided
from rltuner.networks.kernels import composing, output_layer, recurrence
from rltuner.networks.kernels.compiled import tiles
from rltuner.networks.kernels.compiled.tiles import Array, compiled
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import load
from rltuner.rules import load_rulebook
from rltuner.rules.book import RuleBook
from rltuner.tuning.backups import reward
from rltuner.tuning.learner import Learner
from rltuner.tuning.replay import Replay
from rltuner.tuning.round import tune_round


def timed(work: Callable[[], object], runs: int = 5) -> tuple[float, float, float]:
    """Median, least and most seconds of a call, after one that is not counted."""
    work()
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds), min(seconds), max(seconds)


def report(what: str, seconds: tuple[float, float, float], note: str = "") -> None:
    median, least, most = seconds
    print(f"{what:<44} {1e3 * median:9.1f} ms   ({1e3 * least:.1f} to {1e3 * most:.1f})   {note}")


def random_melodies(count: int, length: int) -> Melodies:
    return Melodies(torch.randint(38, (count, length), generator=torch.Generator().manual_seed(0)))


def bench_rules() -> None:
    """Fresh Melodies each time, so that no view is computed beforehand."""
    torch.set_num_threads(1)
    book = load_rulebook("magenta")
    events = random_melodies(4096, 32).events
    report("rules: 4,096 melodies of 32", timed(lambda: book.score(Melodies(events)), 11), "1 thread")
    for length in (64, 128, 256, 512):
        events = random_melodies(256, length).events
        report(
            f"rules: 256 melodies of {length}", timed(lambda e=events: book.score(Melodies(e))), "1 thread"
        )  # type: ignore[misc]


def bench_evaluate() -> None:
    """The paper's rows alone, then all that `rltuner evaluate` gives of a checkpoint, composing included, and memory."""
    torch.set_num_threads(2)
    events = random_melodies(100_000, 32).events
    report("evaluate: 11 rows of 100,000 melodies", timed(lambda: evaluate(Melodies(events)), 3), "2 threads")
    human = read_source("human", 0, 32)
    started = time.perf_counter()
    standards = Standards("C major", load_rulebook("magenta"), 2.0, human, TrainingTunes(training_tunes()))
    judge(read_source("psi", 100_000, 32), standards)
    seconds = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    report(
        "evaluate: everything, 100,000 melodies of psi",
        (seconds,) * 3,
        f"2 threads, {memory:.2f} GiB at most",
    )


def bench_compose() -> None:
    torch.set_num_threads(2)
    policy = load("note_rnn")
    for count in (256, 4096):
        seconds = timed(lambda n=count: policy.compose(n, 32, seed=0))  # type: ignore[misc]
        report(
            f"compose: {count:,} melodies of 32",
            seconds,
            f"{count * 32 / seconds[0]:,.0f} events/s, 2 threads",
        )


def bench_tune() -> None:
    """Whole rounds of each algorithm by preset quick, which learns 6.4 events for each composed one like the paper's code
    (32 transitions every 5 events), from the shipped network and from one that hears the last event alone; what of the
    latter's are matrix products; then the parts of a round of Psi.
    """
    torch.set_num_threads(2)
    book = load_rulebook("magenta")
    for name, algo in itertools.product(("note_rnn", "event_rnn"), ("psi", "q", "g")):
        note_rnn = NoteRNN.load(name)
        config = rltuner.preset("quick", algo=algo)
        learner, replay = Learner(note_rnn, config), Replay(config.replay)
        generator = torch.Generator().manual_seed(0)
        events = config.batch_size * config.length
        for update in range(5):  # fills the replay
            tune_round(learner, replay, book, generator, update)
        seconds = timed(lambda: tune_round(learner, replay, book, generator, 5), 11)  # noqa: B023
        learned = config.passes * (1 + config.replayed) * events / seconds[0]
        report(
            f"tune {name}: a round of {algo}",
            seconds,
            f"{events / seconds[0]:,.0f} events/s composed, {learned:,.0f} learned",
        )
    note_rnn = NoteRNN.load("event_rnn")
    report_products(note_rnn, book)
    config = rltuner.preset("quick")
    learner, generator = Learner(note_rnn, config), torch.Generator().manual_seed(0)
    melodies = learner.compose(config.batch_size, config.length, generator=generator)
    rewards = reward(learner.backup, book.score(melodies)["total"], torch.zeros(melodies.events.shape))
    with undivided():  # as in a round
        goals = learner.goals(melodies, rewards)
        report(
            f"  compose {config.batch_size} melodies",
            timed(lambda: learner.compose(config.batch_size, config.length, generator=generator), 11),
        )
        report("  score them", timed(lambda: book.score(melodies), 11))
        report("  log p of them", timed(lambda: learner.log_prior(melodies), 11))
        report("  goals of them", timed(lambda: learner.goals(melodies, rewards), 11))
        report("  one gradient step on them", timed(lambda: learner.learn(melodies, goals), 11))


def report_products(note_rnn: NoteRNN, book: RuleBook) -> None:
    """What of a round of Psi in one thread is spent in the kernels, and in their matrix products. The products lie within
    the kernels, so their time is that of as many alone: 12 melodies by 100 units by 400 gates, weights in the cache."""
    config = rltuner.preset("quick", threads=1)
    learner, replay = Learner(note_rnn, config), Replay(config.replay)
    generator = torch.Generator().manual_seed(0)
    for update in range(5):
        tune_round(learner, replay, book, generator, update)
    whole = timed(lambda: tune_round(learner, replay, book, generator, 5), 5)[0]
    places = (
        (composing.acting, "act"),
        (recurrence, "unroll"),
        (output_layer.kernels, "advantages"),
        (output_layer.kernels, "log_probabilities"),
        (learner.engine.step.gradients, "kernel"),
    )
    spent = 0.0

    def seen(kernel: Callable[..., None]) -> Callable[..., None]:
        def timed_kernel(*arguments: object) -> None:
            nonlocal spent
            started = time.perf_counter()
            kernel(*arguments)
            spent += time.perf_counter() - started

        return timed_kernel

    kernels = [getattr(place, name) for place, name in places]
    for (place, name), kernel in zip(places, kernels, strict=True):
        setattr(place, name, seen(kernel))
    try:
        started = time.perf_counter()
        tune_round(learner, replay, book, generator, 5)
        of_whole = spent / (time.perf_counter() - started)
    finally:
        for (place, name), kernel in zip(places, kernels, strict=True):
            setattr(place, name, kernel)

    events = config.batch_size * config.length
    layer = 2 * (4 * 100 * 100 + 100 * note_rnn.vocabulary.size)  # flops of a step of the Note RNN; then V's
    of_value = 2 * (4 * config.value_units**2 + config.value_units)
    pool = 1 + config.replayed
    flops = events * (2 * layer + pool * (1 + 3 * config.passes) * (layer + of_value))
    h, gates = np.ones((12, 100), np.float32), np.empty((12, 400), np.float32)
    weight = np.ones((25, 100, 16), np.float32)
    many = compiled(tiles.REAL_2, tiles.REAL_3, tiles.REAL_2)(many_products)
    a_product = timed(lambda: many(h, weight, gates), 11)[0] / 1000
    speed = 2 * h.size * 400 / a_product
    print(
        f"  kernels: {of_whole:.0%} of a round of psi in one thread; of it matrix products: {flops / speed / whole:.0%} "
        f"({flops / 1e9:.1f} Gflop, at the {speed / 1e9:.0f} Gflop/s that they have alone)"
    )


def many_products(h: Array, weight: Array, gates: Array) -> None:
    for _ in range(1000):
        tiles.multiply(h, weight, gates)


def bench_launchpad() -> None:
    """In a module of its own: it needs faiss and stable-baselines3."""
    import bench_launchpad as launchpad

    launchpad.run(timed, report)


BENCHES = {
    "rules": bench_rules,
    "evaluate": bench_evaluate,
    "compose": bench_compose,
    "tune": bench_tune,
    "launchpad": bench_launchpad,
}

if __name__ == "__main__":
    wanted = sys.argv[1:] or ["all"]
    unknown = [name for name in wanted if name not in (*BENCHES, "all")]
    if unknown:
        sys.exit(f"bench.py: unknown bench {unknown[0]!r}; use one of {', '.join(BENCHES)}, all")
    for name, bench in BENCHES.items():
        if name in wanted or "all" in wanted:
            bench()
