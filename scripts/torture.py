"""Every promise of SECURITY.md, tried on purpose: kills at every file operation, full disks, hostile files, crowds.

    make torture        # or: python scripts/torture.py [SUITE ...]

prints what was tried and what came of it, and exits with 1 where a promise broke. tests/scripts/test_torture.py runs
short versions of the same suites.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
sys.path.insert(0, str(Path(__file__).parent))

import torch
from faults import KILLED, at_once, command, in_child, kill, on_operation, progress_bar, refuse
from hostile_models import make as make_models
from hostile_models import try_model
from make_hostile import Outcome, try_file
from make_hostile import make as make_files
from random_configs import numbers

from rltuner.corpus.corpora import Corpus, load_corpus
from rltuner.corpus.workers import Failed, map_guarded
from rltuner.melody import Meter
from rltuner.melody.tunes import Tune
from rltuner.networks.note_rnn import NoteRNN
from rltuner.pretraining import pretrain
from rltuner.storing.records import read_records
from rltuner.tuning import finetune as tuner
from rltuner.tuning import results

FINETUNE = (
    "--length 8 --batch-size 4 --minibatch-size 4 --replay 8 --checkpoint-every 2 --log-every 2 --samples 1 "
    "--evaluate 0 --threads 1"
)
PARTICLES = "--smc 2 --smc-systems 2 --smc-every 2 --smc-replay 4"
PRETRAIN = (
    "--updates 9 --batch-events 32 --validate-every 3 --checkpoint-every 2 --hidden-sizes 4 --threads 1"
)
# What is tortured: a name, and the words of the command but for its folder.
RUNS = {
    "q": f"finetune --algo q --events 96 {FINETUNE} --epsilon 0.3",
    "psi with particles": f"finetune --algo psi --events 96 {FINETUNE} {PARTICLES}",
    "g": f"finetune --algo g --events 96 {FINETUNE}",
    "pretrain": f"pretrain --corpus tunebooks {PRETRAIN}",
}
Tally = Counter[str]


def small_corpus(*_: object, **__: object) -> Corpus:
    """Instead of parsed tunebooks: 20 short tunes."""
    rng = random.Random(5)
    rows = [tuple(rng.randrange(38) for _ in range(16)) for _ in range(20)]
    return Corpus("tunebooks", [Tune(f"{i}", f"{i}", "", Meter(), row) for i, row in enumerate(rows)], {}, [])


@contextlib.contextmanager
def prepared(work: Path) -> Iterator[None]:
    """Commands run here, from a tiny Note RNN, without plots and without parsing the tunebooks."""
    torch.set_num_threads(1)
    instead: list[tuple[Any, str, Any]] = [
        (results, "plot_tuning", lambda *_: None),
        (results, "plot_piano_rolls", lambda *_: None),
        (pretrain, "load_corpus", small_corpus),
        (tuner, "refuse_broken_rules", lambda *_: None),  # the shipped ones are not broken
    ]
    here, before = Path.cwd(), [(module, name, getattr(module, name)) for module, name, _ in instead]
    for module, name, value in instead:
        setattr(module, name, value)
    os.chdir(work)
    try:
        if not Path("tiny").exists():
            NoteRNN(hidden_sizes=(4,), seed=1).save("tiny")
            Path("book.toml").write_text("[rules.key]\n[rules.high_low_unique]\n")
        yield
    finally:
        os.chdir(here)
        for module, name, value in before:
            setattr(module, name, value)


def words_of(run: str, folder: str) -> list[str]:
    note_rnn = ["--note-rnn", "tiny", "--rules", "book.toml"] if RUNS[run].startswith("finetune") else []
    return [*RUNS[run].split(), *note_rnn, "--out", folder]


def fingerprint(folder: Path) -> dict[str, Any]:
    """What must not depend on stops: weights and samples by the byte, and the records but for their speed."""
    files = [
        *folder.glob("policy/*.safetensors"),
        *folder.glob("samples/*"),
        *folder.glob("model*.safetensors"),
    ]
    content: dict[str, Any] = {str(file.relative_to(folder)): file.read_bytes() for file in files}
    records = read_records(folder / "metrics.jsonl")
    content["metrics"] = [{**record, "events_per_second": 0} for record in records]
    assert len(content) > 1
    return content


def resumed(run: str, folder: str, whole: dict[str, Any], tally: Tally) -> None:
    """Goes on from what a stop left, or begins where nothing had begun, and compares the end."""
    began = Path(folder).exists()
    words = [RUNS[run].split()[0], "--resume", folder] if began else words_of(run, folder)
    code, said = command(words)
    if code:
        tally["lost checkpoints"] += 1
        tally[f"  {run}: {said.strip()[-160:]}"] += 1
    elif fingerprint(Path(folder)) != whole:
        tally["runs that ended otherwise"] += 1
    else:
        tally["runs resumed bit-identically"] += began
    shutil.rmtree(folder, ignore_errors=True)


def stops(run: str, every: int, tally: Tally) -> None:
    """Kills the run at every `every`-th operation on files, and fills the disk there; both are then resumed."""
    assert command(words_of(run, "whole"))[0] == 0
    whole = fingerprint(Path("whole"))
    shutil.rmtree("whole")

    def counted() -> int:
        count = on_operation(0, kill)
        code = command(words_of(run, "counted"))[0]
        Path("count").write_text(str(count[0]))
        return code

    assert in_child(counted) == 0
    operations = int(Path("count").read_text())
    shutil.rmtree("counted")
    with progress_bar(f"stops: {run}", operations) as advance:
        for number in range(1, operations + 1, every):

            def killed(number: int = number) -> int:
                on_operation(number, kill)
                return command(words_of(run, "part"))[0]

            def full(number: int = number) -> int:
                refusals: list[str] = []
                on_operation(number, lambda name, _: refuse(name, refusals))
                code, said = command(words_of(run, "part"))
                if not refusals:
                    return 2  # only closing and tidying was left, and nothing was refused
                clear = sum("rltuner: " in line for line in said.splitlines()) == 1
                return code if clear and "Traceback" not in said else 71

            tally["saves interrupted"] += in_child(killed) == KILLED
            resumed(run, "part", whole, tally)
            if number % (4 * every) == 1:
                code = in_child(full)
                tally["full disks"] += 1
                tally["errors swallowed or unclear"] += code != 2
                if code != 2:
                    tally[f"  {run}: operation {number} refused, exit code {code}"] += 1
                resumed(run, "part", whole, tally)
            for left in Path().glob(".part.*"):
                shutil.rmtree(left)
            advance(every)


def kill9(run: str, kills: int, tally: Tally, seed: int = 1) -> None:
    """The real command line, in a process of its own, killed from outside at any moment, and once by Ctrl-C."""
    rng = random.Random(seed)
    words = [word if word != "96" else "960" for word in words_of(run, "outside")]
    assert command([*words[:-1], "whole"])[0] == 0
    whole = fingerprint(Path("whole"))
    shutil.rmtree("whole")
    for attempt in range(kills):
        again = [words[0], "--resume", "outside"] if Path("outside").exists() else words
        child = subprocess.Popen(
            [sys.executable, "-m", "rltuner", *again], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        manifest = Path("outside/checkpoint/manifest.json")
        before = manifest.stat().st_mtime if manifest.exists() else 0.0
        while child.poll() is None and not (manifest.exists() and manifest.stat().st_mtime > before):
            time.sleep(0.01)
        time.sleep(rng.random() * 0.2)
        number = signal.SIGINT if attempt == 0 else signal.SIGKILL
        child.send_signal(number)
        said = child.communicate()[1].decode()
        if number == signal.SIGINT and child.returncode not in (0, 130):
            tally["wrong exit codes"] += 1
            tally[f"  {said[-200:]}"] += 1
        tally["saves interrupted"] += 1
    resumed(run, "outside", whole, tally)


def file_limit(run: str, tally: Tally) -> None:
    """A limit on the size of files, as a full disk would come: one line, exit 2, and the run goes on afterwards."""
    import resource

    assert command(words_of(run, "whole"))[0] == 0
    whole = fingerprint(Path("whole"))
    shutil.rmtree("whole")

    def limited() -> int:
        state = next(Path("part/checkpoint").glob("state-*"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (state.stat().st_size // 2,) * 2)
        code, said = command([words_of(run, "")[0], "--resume", "part"])
        return code if "can be resumed from it" in said and "File too large" in said else 71

    def begun() -> int:
        on_operation(40, kill)
        return command(words_of(run, "part"))[0]

    assert in_child(begun) == KILLED
    tally["full disks"] += 1
    tally["errors swallowed or unclear"] += in_child(limited) != 2
    resumed(run, "part", whole, tally)


def crowds(times: int, tally: Tally, advance: Callable[[int], None] | None = None) -> None:
    """Commands that want one folder, or one cache, at the same moment."""
    songs = Path("songs")
    songs.mkdir()
    for i in range(8):
        (songs / f"{i}.abc").write_text(
            f"X:1\nT:{i}\nM:4/4\nL:1/8\nK:C\nCDEF GABc|cBAG F{'CDEF'[i % 4]}DC|\n"
        )
    load_corpus(songs, cache_dir="warm", progress=False, quiet=True)

    def refused(words: list[str]) -> int:
        code, said = command(words)
        return code if code == 0 or "exists already" in said or "in use by process" in said else 71

    def corpus(cache: str) -> int:
        with contextlib.redirect_stderr(io.StringIO()):
            found = load_corpus(songs, cache_dir=cache, progress=False, quiet=True)
        return 0 if len(found.tunes) == 8 and found.counts["kept"] == 8 else 71

    for number in range(times):
        new, cache = f"crowd{number}", f"cache{number}"
        codes = at_once([lambda new=new: refused(words_of("q", new))] * 3)
        again = at_once([lambda new=new: refused(["finetune", "--resume", new])] * 3)
        cached = at_once([lambda cache=cache: corpus(cache)] * 3)
        tally["crowds"] += 3
        good = sorted(codes) == [0, 2, 2] and set(again) <= {0, 2} and 0 in again and cached == [0, 0, 0]
        good = good and len(list(Path(cache).glob("*.safetensors"))) == 1
        tally["crowds that went wrong"] += not good
        if not good:
            tally[f"  {codes} {again} {cached}"] += 1
        shutil.rmtree(new)
        shutil.rmtree(cache)
        if advance:
            advance(1)


def hostile(
    count: int,
    tally: Tally,
    seed: int | None = None,
    advance: Callable[[int], None] | None = None,
    make: Callable[..., list[Path]] = make_files,
    try_file: Callable[[str], Outcome] = try_file,
) -> None:
    """A mutation corpus, in guarded workers: of files of tunes, or of models."""
    files = make(Path("hostile"), count, *([] if seed is None else [seed]))
    tasks = [str(file) for file in files]
    # Two readings of 5 s each; the worker is killed where the parser's own limit could not act.
    for file, outcome in zip(files, map_guarded(try_file, tasks, 2, 12.0), strict=True):
        tally["hostile files tried"] += 1
        if isinstance(outcome, Failed):
            tally["crashes"] += 1
            tally[f"  {file.name} {outcome.reason}"] += 1
        else:
            tally["hostile files with melodies"] += outcome.melodies > 0
            tally["most MB of a worker"] = max(tally["most MB of a worker"], outcome.peak_mb)
            tally["slowest, ms"] = max(tally["slowest, ms"], round(outcome.seconds * 1000))
            for error in outcome.errors:
                if "DEFECT" in error:
                    tally["crashes"] += 1
                    tally[f"  {file.name} {error}"] += 1
        if advance:
            advance(1)
    shutil.rmtree("hostile")


BROKEN = ("crashes", "lost checkpoints", "runs that ended otherwise", "errors swallowed or unclear")
BROKEN += ("crowds that went wrong", "wrong exit codes", "configurations that broke")


def main() -> None:
    """All suites, or those named."""
    chosen, beside = sys.argv[1:] or list(SUITES), None
    if unknown := [word for word in chosen if word not in (*SUITES, "--json")]:
        sys.exit(f"torture.py: unknown suite {unknown[0]!r}; use some of {', '.join(SUITES)}")
    is_beside = "--json" in chosen
    if len(chosen) > 1 and "numbers" in chosen and not is_beside:  # on the other core
        chosen.remove("numbers")
        words = [sys.executable, __file__, "numbers", "--json"]
        beside = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    tally: Tally = Counter(dict.fromkeys((*TRIED, *BROKEN), 0))
    started = time.monotonic()
    work = Path(tempfile.mkdtemp(prefix="rltuner-torture-"))
    try:
        with prepared(work):
            for suite in chosen:
                if suite in RUN:
                    RUN[suite](tally)
                    print(f"{suite}: {dict(tally)}", file=sys.stderr)
        if beside is not None:
            tally.update(json.loads(beside.communicate()[0].splitlines()[-1]))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if is_beside:
        print(json.dumps(tally))
        return
    for name, value in tally.items():
        print(f"{name}: {value}")
    print(f"in {time.monotonic() - started:.0f} s")
    sys.exit(any(tally[name] for name in BROKEN))


def all_stops(tally: Tally) -> None:
    for run in RUNS:
        stops(run, 1, tally)
        file_limit(run, tally)


def all_outside(tally: Tally) -> None:
    with progress_bar("outside", 3) as advance:
        for run in ("q", "psi with particles", "g"):
            kill9(run, 2, tally)
            advance(1)


def all_crowds(tally: Tally) -> None:
    with progress_bar("crowds", 5) as advance:
        crowds(5, tally, advance)


def all_hostile(tally: Tally) -> None:
    with progress_bar("hostile files", 2_000) as advance:
        hostile(2_000, tally, None, advance)


def all_models(tally: Tally) -> None:
    with progress_bar("hostile models", 600) as advance:
        hostile(600, tally, None, advance, make_models, try_model)


def all_numbers(tally: Tally) -> None:
    with progress_bar("configurations", 300) as advance:
        numbers(300, tally, advance)


TRIED = ("saves interrupted", "runs resumed bit-identically", "hostile files tried")
RUN: dict[str, Callable[[Tally], None]] = {
    "hostile": all_hostile,
    "models": all_models,
    "stops": all_stops,
    "crowds": all_crowds,
    "outside": all_outside,
    "numbers": all_numbers,
}
SUITES = tuple(RUN)


if __name__ == "__main__":
    main()
