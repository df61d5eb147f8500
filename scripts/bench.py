"""Speed of what users wait for, on this machine: medians of several runs.

python scripts/bench.py rules       # scoring 4,096 melodies of 32 events with the magenta book, one thread
python scripts/bench.py evaluate    # 100,000 melodies: the paper's rows; everything, composing included
python scripts/bench.py compose     # events per second of the shipped Note RNN
python scripts/bench.py tune        # events per second of tuning, preset quick, and where the time goes
python scripts/bench.py all
"""

from __future__ import annotations

import re
import resource
import statistics
import sys
import time
from collections.abc import Callable

import torch

import rltuner
from rltuner import recurrence
from rltuner.backups import reward
from rltuner.compose import compose
from rltuner.eval import evaluate
from rltuner.eval.copying import TrainingTunes
from rltuner.eval.judge import Standards, judge
from rltuner.learner import Learner
from rltuner.melody import Melodies
from rltuner.note_rnn import NoteRNN
from rltuner.policy import load
from rltuner.recurrence import undivided
from rltuner.replay import Replay
from rltuner.rules import load_rulebook
from rltuner.sources import read_source
from rltuner.tuner import tune_round
from rltuner.tunes import training_tunes


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
    (32 transitions every 5 events); then the parts of a round of Psi.
    """
    torch.set_num_threads(2)
    note_rnn, book = NoteRNN.load("note_rnn"), load_rulebook("magenta")
    shares: list[float] = []
    for algo in ("psi", "q", "g"):
        config = rltuner.preset("quick", algo=algo)
        learner, replay = Learner(note_rnn, config), Replay(config.replay)
        generator = torch.Generator().manual_seed(0)
        events = config.batch_size * config.length
        for update in range(5):  # fills the replay
            tune_round(learner, replay, book, generator, update)
        seconds = timed(lambda: tune_round(learner, replay, book, generator, 5), 11)  # noqa: B023
        learned = config.passes * (1 + config.replayed) * events / seconds[0]
        # The profiler sees one thread only.
        alone = Learner(note_rnn, rltuner.preset("quick", algo=algo, threads=1))
        shares.append(lstm_share(lambda: tune_round(alone, replay, book, generator, 5)))  # noqa: B023
        report(
            f"tune: a round of {algo}, 6.4 learned an event",
            seconds,
            f"{events / seconds[0]:,.0f} events/s composed, {learned:,.0f} learned",
        )
    share = ", ".join(f"{part:.0%}" for part in shares)
    print(f"  matrix products and the LSTM steps compiled with them: {share} of the CPU's time")
    config = rltuner.preset("quick")
    learner, generator = Learner(note_rnn, config), torch.Generator().manual_seed(0)
    melodies = compose(learner.policy, config.batch_size, config.length, generator=generator)
    rewards = reward(learner.backup, book.score(melodies)["total"], torch.zeros(melodies.events.shape))
    with undivided():  # as in a round
        goals = learner.goals(melodies, rewards)
        report(
            f"  compose {config.batch_size} melodies",
            timed(lambda: compose(learner.policy, config.batch_size, config.length, generator=generator), 11),
        )
        report("  score them", timed(lambda: book.score(melodies), 11))
        report("  log p of them", timed(lambda: learner.log_prior(melodies), 11))
        report("  goals of them", timed(lambda: learner.goals(melodies, rewards), 11))
        report("  one gradient step on them", timed(lambda: learner.learn(melodies, goals), 11))


def lstm_share(work: Callable[[], object]) -> float:
    """Share of the CPU's own time that a call spends in matrix products and in the LSTM steps compiled with them."""
    from torch.profiler import ProfilerActivity, profile, record_function

    kernels = {name: getattr(recurrence, name) for name in ("unroll", "unroll_back", "step_forward")}

    def seen(name: str) -> Callable[..., None]:
        def kernel(*arguments: object) -> None:
            with record_function(f"::{name}"):
                kernels[name](*arguments)

        return kernel

    for name in kernels:
        setattr(recurrence, name, seen(name))
    try:
        with profile(activities=[ProfilerActivity.CPU]) as profiled:
            work()
    finally:
        for name, kernel in kernels.items():
            setattr(recurrence, name, kernel)
    times = {entry.key: entry.self_cpu_time_total for entry in profiled.key_averages()}
    products = sum(
        time
        for name, time in times.items()
        if re.search(r"::(unroll|step_forward|addmm|mm|bmm|baddbmm)", name)
    )
    return products / sum(times.values())


BENCHES = {"rules": bench_rules, "evaluate": bench_evaluate, "compose": bench_compose, "tune": bench_tune}

if __name__ == "__main__":
    wanted = sys.argv[1:] or ["all"]
    unknown = [name for name in wanted if name not in (*BENCHES, "all")]
    if unknown:
        sys.exit(f"bench.py: unknown bench {unknown[0]!r}; use one of {', '.join(BENCHES)}, all")
    for name, bench in BENCHES.items():
        if name in wanted or "all" in wanted:
            bench()
