"""The shipped policies do what their cards say. Margins are four standard errors of the melodies composed here."""

import json
from pathlib import Path

import pytest

from rltuner.eval import evaluate
from rltuner.eval.diversity import distinct_share, mean_edit_distance
from rltuner.networks.policy import Policy, load, note_rnn_of
from rltuner.storing.checkpoints import shipped_checkpoints

COUNT = 4000
PAPER = {  # the paper's Psi; every shipped policy is better than this
    "notes_not_in_key": 0.006,
    "compositions_starting_with_tonic": 0.287,
    "leaps_resolved": 0.90,
    "compositions_with_unique_max_note": 0.594,
    "compositions_with_unique_min_note": 0.583,
}


@pytest.mark.parametrize("name", [name for name in ("q", "psi", "g") if name in shipped_checkpoints()])
def test_a_shipped_policy_beats_the_paper_without_collapsing(name: str) -> None:
    policy = load(name)
    melodies = policy.compose(COUNT, 32, seed=11)
    rows = evaluate(melodies)
    assert rows["notes_excessively_repeated"] < 0.002
    assert rows["notes_not_in_key"] < PAPER["notes_not_in_key"]
    for row in list(PAPER)[1:]:
        assert rows[row] > PAPER[row] + 0.02, row
    for lag, most in ((1, 0.11), (2, 0.06), (3, 0.06)):
        assert abs(rows[f"autocorrelation_lag{lag}"]) < most + 0.01
    assert rows["notes_in_motif"] > 0.72
    assert distinct_share(melodies) > 0.98  # of so few melodies
    own = Policy("note_rnn", note_rnn_of(policy)).compose(COUNT, 32, seed=11)
    share = 0.72 if name == "q" else 0.9  # Q has no entropy term
    assert mean_edit_distance(melodies, 4000)[0] > share * mean_edit_distance(own, 4000)[0]


@pytest.mark.parametrize("name", ["psi", "g"])
def test_motifs_return_while_melodies_differ(name: str) -> None:
    melodies = load(name).compose(COUNT, 32, seed=12)
    rows = evaluate(melodies)
    assert rows["notes_in_repeated_motif"] > 0.007  # 0.01 or more among 100,000
    assert rows["compositions_starting_with_tonic"] > 0.9
    assert rows["leaps_resolved"] > 0.95
    assert distinct_share(melodies) > 0.996  # of so few; 0.99 or more among 100,000


def test_every_checkpoint_has_a_card_and_says_how_it_was_made() -> None:
    for name in shipped_checkpoints():
        folder = Path(__file__).parents[2] / "checkpoints" / name
        assert (folder / "README.md").is_file()
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        is_untuned = name in ("note_rnn", "event_rnn")
        assert config["kind"] == ("note_rnn" if is_untuned else name if name in ("q", "g") else "psi")
        assert is_untuned or {"finetune", "rules", "made_by"} <= config.keys()
