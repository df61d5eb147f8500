"""How many melodies would be distinct, against enumeration; and a run that ends where they become too few."""

import itertools
import json
from pathlib import Path

import pytest
import torch

import rltuner
from rltuner.melody import Melodies, Vocabulary
from rltuner.networks.compose import compose
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import Policy
from rltuner.tuning.collapse import expected_distinct, has_collapsed


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
