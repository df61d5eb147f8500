"""What a tuning run leaves behind: the policy with its card, the table before and after, samples, plots, report.md."""

from __future__ import annotations

import shlex
from pathlib import Path

from rltuner.console import output_console, say
from rltuner.eval.diversity import distinct_share, mean_edit_distance
from rltuner.eval.objective import measure
from rltuner.eval.paper import evaluate
from rltuner.eval.rewards import mean_rewards
from rltuner.eval.table import terminal_table, without_intervals
from rltuner.eval.tuning_curves import plot_tuning
from rltuner.melody.plots import plot_piano_rolls
from rltuner.networks.compose import compose
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import Policy
from rltuner.rules.book import RuleBook
from rltuner.storing.atomic import naming, write_atomically
from rltuner.tuning.config import FinetuneConfig
from rltuner.tuning.run_folder import RunFolder
from rltuner.tuning.texts import Findings, card_text, objective_text, plain, report_text
from rltuner.version import __version__

SAMPLE_QPM = 100.0
PAIRS = 5_000  # of melodies, by whose distance a collapse is seen: a second at most


def find(
    folder: RunFolder, config: FinetuneConfig, book: RuleBook, note_rnn: NoteRNN, policy: Policy
) -> Findings:
    """Composes `config.evaluate` melodies before and after, and judges them."""
    findings = Findings(records=folder.records())
    if config.evaluate:
        composers = {config.note_rnn: Policy("note_rnn", note_rnn), f"tuned ({config.algo})": policy}
        for name, composer in composers.items():
            melodies = compose(composer, config.evaluate, config.length, seed=config.seed)
            findings.columns[name] = evaluate(melodies, key=book.key)
            findings.rewards[name] = mean_rewards(melodies, book)
            findings.distinct[name] = distinct_share(melodies)
            findings.edit_distance[name] = mean_edit_distance(melodies, PAIRS)[0]
        findings.objective = measure(policy, note_rnn.to(config.device), melodies, book, config.c)
    return findings


def write_results(
    folder: RunFolder, config: FinetuneConfig, book: RuleBook, note_rnn: NoteRNN, policy: Policy
) -> None:
    """Writes everything, then prints the tables and where things are, unless the run is quiet."""
    digest = policy.save(
        folder.policy, made_by=f"rltuner {__version__}", finetune=plain(config), rules=book.record
    )
    samples = write_samples(folder.samples, policy, config)
    findings = find(folder, config, book, note_rnn, policy)
    folder.plots.mkdir(exist_ok=True)
    plot_tuning(findings.records, config.c, folder.plots / "tuning.png")
    rolls = compose(policy, 12, config.length, seed=config.seed)
    title = f"12 melodies of the tuned policy ({config.algo})"
    plot_piano_rolls(rolls, folder.plots / "piano_rolls.png", title)
    write_atomically(folder.report, report_text(config, book, findings, digest, samples).encode())
    write_atomically(folder.policy / "README.md", card_text(config, book, findings).encode())

    if findings.collapse:
        say(f"warning: {findings.collapse}")
    if not config.quiet:
        print_results(folder, config, book, findings, digest, samples)


def print_results(
    folder: RunFolder,
    config: FinetuneConfig,
    book: RuleBook,
    findings: Findings,
    digest: str,
    samples: list[Path],
) -> None:
    """The tables, J, and where things are."""
    if findings.columns:
        output_console.print(
            f"\nThe RL Tuner paper's rows, {config.evaluate:,} melodies of {config.length} events each"
        )
        output_console.print(terminal_table(without_intervals(findings.columns)))
        output_console.print(f"Mean reward per melody by the {book.name} book, in {book.key}")
        output_console.print(terminal_table(without_intervals(findings.rewards), findings.reward_rows))
        (before, after), (near, nearer) = findings.distinct.values(), findings.edit_distance.values()
        distances = f"; mean edit distance between two: {near:.3f} before, {nearer:.3f} after"
        output_console.print(
            f"distinct melodies: {before:.2%} before, {after:.2%} after{distances if nearer == nearer else ''}",
            soft_wrap=True,
        )
    if findings.objective is not None:
        output_console.print(f"means per melody, tuned: {objective_text(findings.objective)}", soft_wrap=True)
    output_console.print(f"policy   {folder.policy}  (SHA-256 {digest[:16]})", soft_wrap=True)
    output_console.print(f"report   {folder.report}, {folder.plots}/*.png", soft_wrap=True)
    if samples:
        output_console.print(f"samples  {samples[0]} … {samples[-1].name}", soft_wrap=True)
    quoted = shlex.quote(str(folder.policy))
    say(f"listen, or go on: rltuner evaluate {quoted} --paper; rltuner generate {quoted}")


def write_samples(folder: Path, policy: Policy, config: FinetuneConfig) -> list[Path]:
    """A few melodies as MIDI files."""
    folder.mkdir(exist_ok=True)
    melodies = compose(policy, config.samples, config.length, seed=config.seed)
    files = [folder / f"melody-{index + 1:02}.mid" for index in range(config.samples)]
    for index, file in enumerate(files):
        with naming(file):
            melodies.to_midi(file, index, SAMPLE_QPM)
    return files
