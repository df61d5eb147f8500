"""How many melodies would be distinct, against enumeration; and a run that ends where they become too few."""

import itertools
import json
from pathlib import Path

import pytest
import torch

import rltuner
from rltuner.eval.paper import ROW_TITLES
from rltuner.melody import Melodies, Vocabulary
from rltuner.networks.compose import compose
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import Policy
from rltuner.rules import load_rulebook
from rltuner.tuning.collapse import expected_distinct, has_collapsed
from rltuner.tuning.texts import Findings, figures_text, report_text


@pytest.fixture(scope="module")
def policy() -> Policy:
    """5 classes, and likings strong enough that some melodies come often."""
    note_rnn = NoteRNN(Vocabulary(60, 63), (8,), seed=3)
    with torch.no_grad():
        note_rnn.output.weight *= 8
    return Policy("note_rnn", note_rnn)


@pytest.mark.parametrize("among", [1, 50, 1000])
def test_the_estimate_is_the_expectation_over_all_melodies(policy: Policy, among: int) -> None:
    everything = torch.tensor(list(itertools.product(range(5), repeat=3)))
    share = torch.zeros(len(everything), dtype=torch.float64)
    for primer in range(5):
        context = torch.full((len(everything), 1), primer)
        heard = Melodies(everything, None, context, policy.vocabulary)
        share += policy.log_prob(heard).double().sum(dim=1).exp() / 5
    assert float(share.sum()) == pytest.approx(1.0, abs=1e-5)
    exact = float((1 - (1 - share) ** among).sum()) / among
    melodies = compose(policy, 4000, 3, seed=1)
    parts = [expected_distinct(policy, part, among) for part in (melodies[:2000], melodies[2000:])]
    assert sum(parts) / 2 == pytest.approx(exact, rel=0.05)
    if among == 1:
        assert parts == [1.0, 1.0]


def test_a_policy_with_one_melody_has_one(policy: Policy) -> None:
    certain = NoteRNN(Vocabulary(60, 63), (8,))
    with torch.no_grad():
        certain.output.weight.zero_()
        certain.output.bias.copy_(torch.tensor([0.0, 0, 60, 0, 0]))
    one = Policy("note_rnn", certain)
    assert expected_distinct(one, compose(one, 10, 4, seed=0), 1000) == pytest.approx(1 / 1000)


def test_three_looks_decide() -> None:
    def records(*shares: float) -> list[dict[str, float]]:
        return [{"distinct": share} for share in shares]

    assert has_collapsed(records(1.0, 0.9, 0.8, 0.7), 0.81)
    assert not has_collapsed(records(0.1, 1.0, 1.0, 1.0), 0.9)  # only the last ones count
    assert not has_collapsed(records(0.1, 0.1), 0.9)
    assert not has_collapsed(records(0.0, 0.0, 0.0), 0.0)  # never


def test_a_run_ends_early_and_is_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    NoteRNN(hidden_sizes=(8,), seed=1).save(tmp_path / "note_rnn")
    fields = {
        "note_rnn": str(tmp_path / "note_rnn"),
        "batch_size": 8,
        "length": 2,
        "events": 16 * 60,
        "threads": 1,
    }
    run = rltuner.finetune(
        rltuner.preset(
            "quick", out=tmp_path / "run", least_distinct=0.5, samples=1, evaluate=50, **fields
        )  # two events: at most 38 x 38 melodies among 100,000
    )
    assert "ended after 30 of 60 rounds" in capsys.readouterr().err
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["updates"] for line in lines] == [10, 20, 30]
    assert all(0 < line["distinct"] < 0.02 for line in lines)
    assert (run / "report.md").is_file()
    rltuner.finetune(rltuner.FinetuneConfig(resume=run))  # there is nothing left to do
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("distinct", "distance", "recorded", "said"),
    [
        (1.0, 0.62, 0.99, ""),
        (0.6, 0.5, 0.6, ""),
        (0.3, 0.62, 0.99, "30.0% of its melodies are distinct, of the Note RNN's 100.0%"),
        (0.9997, 0.215, 0.99, "two of its melodies differ by 0.21, two of the Note RNN's by 0.63"),
        (1.0, 0.62, 0.1, "among 100,000 melodies 10.0% would be distinct"),
    ],
)
def test_a_policy_that_settled_on_few_melodies_or_on_one_kind_is_told_of(
    distinct: float, distance: float, recorded: float, said: str
) -> None:
    """All melodies may be distinct and nearly the same: .9997 and .215 are of a run that somebody had."""
    found = Findings(
        distinct={"before": 1.0, "after": distinct},
        edit_distance={"before": 0.63, "after": distance},
        records=[{"distinct": recorded}],
    )
    assert said in found.collapse
    assert bool(found.collapse) == bool(said)
    config, book = rltuner.preset("quick"), load_rulebook("magenta")
    text = report_text(config, book, Findings(records=[]), "0" * 64, [])
    assert "**Warning:**" not in text


def test_without_an_evaluation_the_record_tells_of_a_collapse() -> None:
    found = Findings(records=[{"distinct": 0.2, "events": 8, "events_per_second": 1.0}])
    assert "20.0% would be distinct" in found.collapse
    config, book = rltuner.preset("quick", evaluate=0), load_rulebook("magenta")
    assert "**Warning:** the policy settled on few melodies" in report_text(config, book, found, "0" * 64, [])


@pytest.mark.parametrize(("distance", "told"), [(0.5, True), (float("nan"), False)])
def test_the_distance_between_melodies_is_told_where_there_are_two(distance: float, told: bool) -> None:
    """Whatever the Note RNN is called."""
    names = ["nancy/note_rnn", "tuned (psi)"]
    rows = dict.fromkeys(ROW_TITLES, 0.5)
    found = Findings(
        columns=dict.fromkeys(names, rows),
        distinct=dict.fromkeys(names, 1.0),
        edit_distance=dict.fromkeys(names, distance),
    )
    text = figures_text(rltuner.preset("quick"), found)
    assert ("Mean edit distance between two: nancy/note_rnn 0.500, tuned (psi) 0.500." in text) == told
    assert ("Mean edit distance" in text) == told
