"""Generating: melodies of the network asked for, sampled, moved, primed and chosen as asked."""

from pathlib import Path

import numpy as np
import pytest
import torch
from generated import THEME, manifest, melodies_in, notes_in, refused, run

from rltuner.errors import InputError
from rltuner.eval import evaluate
from rltuner.generating.generate import best_of
from rltuner.melody import Melodies
from rltuner.melody.musicxml import musicxml
from rltuner.networks.compose import sample
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import load
from rltuner.rules import load_rulebook


def test_top_p_plays_nothing_outside_the_nucleus_and_everything_in_it() -> None:
    probabilities = torch.tensor([[0.1, 0.4, 0.05, 0.3, 0.15]])
    rows = probabilities.log().expand(5_000, -1)
    generator = torch.Generator().manual_seed(0)
    for top_p, nucleus in ((0.3, {1}), (0.4, {1}), (0.45, {1, 3}), (0.8, {1, 3, 4}), (0.96, {0, 1, 2, 3, 4})):
        played = sample(rows, 1.0, generator, top_p)
        assert {*played.tolist()} == nucleus, top_p
    played = sample(rows, 1.0, generator, 0.7)  # 0.4 and 0.3: their shares are 4/7 and 3/7
    assert (played == 1).double().mean().item() == pytest.approx(4 / 7, abs=0.03)


def test_top_p_counts_probabilities_after_the_temperature() -> None:
    rows = torch.tensor([[0.6, 0.4]]).log().expand(2_000, -1)
    generator = torch.Generator().manual_seed(0)
    assert {*sample(rows, 1.0, generator, 0.62).tolist()} == {0, 1}
    assert {*sample(rows, 0.5, generator, 0.62).tolist()} == {0}  # 0.36 / (0.36 + 0.16) = 0.69


def test_a_top_p_of_1_is_a_race_of_all_classes() -> None:
    generator = torch.Generator().manual_seed(4)
    rows = torch.randn(500, 38, generator=generator).log_softmax(dim=1)
    generators = [torch.Generator().manual_seed(3) for _ in range(3)]
    race = torch.empty_like(rows).exponential_(generator=generators[0])
    assert torch.equal(sample(rows, 1.0, generators[1], 1.0), (rows.exp() / race).argmax(dim=1))
    assert not torch.equal(sample(rows, 1.0, generators[2], 0.9), (rows.exp() / race).argmax(dim=1))


def test_a_top_p_out_of_range_is_named(psi: Path) -> None:
    for top_p in (0, -1, 1.01, float("nan")):
        with pytest.raises(InputError, match="top_p"):
            load(psi).compose(1, 4, top_p=top_p)


def test_greedy_takes_the_likeliest_as_temperature_0_does(psi: Path, tmp_path: Path) -> None:
    assert run("generate", psi, "--count", 2, "--primer", "none", "--greedy", "--out", tmp_path / "a") == 0
    assert (
        run("generate", psi, "--count", 2, "--primer", "none", "--temperature", 0, "--out", tmp_path / "b")
        == 0
    )
    one, two = (entry["events"] for entry in melodies_in(tmp_path / "a"))
    assert one == two == melodies_in(tmp_path / "b")[0]["events"]


def test_a_primer_that_is_kept_comes_first_and_is_never_counted(
    psi: Path, theme: Path, tmp_path: Path
) -> None:
    for name, *flags in (("dropped",), ("kept", "--keep-primer")):
        words = ("--count", 5, "--primer", theme, *flags, "--out", tmp_path / name)
        assert run("generate", psi, *words) == 0
    dropped, kept = notes_in(tmp_path / "dropped"), notes_in(tmp_path / "kept")
    own = Melodies([THEME]).notes(0)
    for without, with_primer in zip(dropped, kept, strict=True):
        assert with_primer[: len(own) - 1] == own[:-1]
        # The primer's last note may ring on into the melody.
        assert with_primer[len(own) - 1][:2] == own[-1][:2]
        assert with_primer[len(own) :] == [(pitch, start + 16, end + 16) for pitch, start, end in without]
    for one, other in zip(melodies_in(tmp_path / "dropped"), melodies_in(tmp_path / "kept"), strict=True):
        assert one == other
        assert one["primer_events"] == THEME
        single = evaluate(Melodies([one["events"]]))
        assert one["metrics"] == pytest.approx(
            {name: None if np.isnan(value) else value for name, value in single.items()}, abs=1e-5
        )


def test_a_melody_after_a_kept_primer_begins_on_a_bar_line(psi: Path, tmp_path: Path) -> None:
    words = ("--count", 40, "--keep-primer", "--out", tmp_path / "out")
    assert run("generate", psi, *words) == 0
    for entry, notes in zip(melodies_in(tmp_path / "out"), notes_in(tmp_path / "out"), strict=True):
        (heard,), events = entry["primer_events"], entry["events"]  # type: ignore[misc,has-type]
        expected = Melodies([[1] * 15 + [heard, *events]]).notes(0)
        assert notes == expected


def test_a_primer_from_a_file_sounds_as_written_whatever_the_key(
    psi: Path, theme: Path, tmp_path: Path
) -> None:
    words = ("--count", 2, "--primer", theme, "--key", "G major", "--keep-primer", "--out", tmp_path / "out")
    assert run("generate", psi, *words) == 0
    own = Melodies([THEME]).notes(0)
    for notes in notes_in(tmp_path / "out"):
        assert notes[: len(own) - 1] == own[:-1]
    heard = [event + 5 if event > 1 else event for event in THEME]  # in C, where the policy is at home
    assert [entry["primer_events"] for entry in melodies_in(tmp_path / "out")] == [heard, heard]


def test_midi_abc_and_musicxml_prime_alike(psi: Path, theme: Path, tmp_path: Path) -> None:
    (tmp_path / "theme.abc").write_text("X:1\nT:theme\nM:4/4\nL:1/8\nK:C\nC D E2 G F E D|\n")
    (tmp_path / "theme.musicxml").write_bytes(musicxml(Melodies([THEME]), 0, qpm=100))
    for file in (theme, tmp_path / "theme.abc", tmp_path / "theme.musicxml"):
        melodies = load(psi).compose(2, 8, primer=file, seed=0)
        assert melodies.context.tolist() == [THEME, THEME], file


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("high.abc", "X:1\nM:4/4\nL:1/4\nK:C\nc''' d''' c''' d'''|\n", "MIDI pitch 108"),
        ("silent.abc", "X:1\nM:4/4\nL:1/4\nK:C\nz z z z|\n", "silent.abc"),
        ("broken.musicxml", "<score-partwise", "broken.musicxml"),
        ("words.txt", "C D E", "words.txt"),
    ],
)
def test_a_primer_that_cannot_be_used_is_one_line(
    name: str, content: str, says: str, psi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(content)
    line = refused(capsys, "generate", psi, "--primer", tmp_path / name, "--out", tmp_path / "deep" / "out")
    assert name in line
    assert says in line
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_primer_that_leaves_the_range_where_its_key_is_the_policys_is_named(
    psi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Melodies([[37, 1, 1, 1]]).to_midi(tmp_path / "b5.mid")
    words = ("generate", psi, "--primer", tmp_path / "b5.mid", "--out", tmp_path / "out")
    assert "b5.mid: MIDI pitch 83" in refused(capsys, *words, "--key", "G major")  # heard in C: five higher
    assert run(*words) == 0


def test_best_of_keeps_the_candidate_with_the_most_reward(oracle: dict[str, np.ndarray]) -> None:
    book = load_rulebook("magenta")
    candidates = Melodies(oracle["compositions"][:60])
    totals = book.score(candidates)["total"].sum(dim=1).view(12, 5)
    kept = best_of(candidates, book, 5)
    assert book.score(kept)["total"].sum(dim=1).tolist() == totals.max(dim=1).values.tolist()
    assert (totals.max(dim=1).values >= totals[:, 0]).all()
    assert (totals.max(dim=1).values > totals[:, 0]).any()


def test_the_manifest_has_the_rewards_and_best_of_raises_them(psi: Path, tmp_path: Path) -> None:
    words = ("generate", psi, "--count", 30, "--rules", "magenta")
    assert run(*words, "--out", tmp_path / "one") == 0
    assert run(*words, "--best-of", 8, "--out", tmp_path / "best") == 0
    totals = {}
    for name in ("one", "best"):
        entries = melodies_in(tmp_path / name)
        scores = load_rulebook("magenta").score(Melodies([entry["events"] for entry in entries]))
        for rule, rewards in scores.items():
            told = [entry["rewards"][rule] for entry in entries]  # type: ignore[index]
            assert told == pytest.approx(rewards.sum(dim=1).tolist(), rel=1e-4, abs=1e-4)
        totals[name] = scores["total"].sum(dim=1)
    assert totals["best"].mean() > totals["one"].mean() + totals["one"].std()


def test_a_steered_melody_is_generated_as_before(psi: Path, tmp_path: Path, note_rnn_near: Path) -> None:
    words = ("generate", note_rnn_near, "--count", 3, "--smc", 16, "--length", 8)
    assert run(*words, "--out", tmp_path / "a") == 0
    assert run(*words, "--rules", "magenta", "--key", "D major", "--out", tmp_path / "b") == 0
    assert manifest(tmp_path / "a")["smc"] == {"particles": 16, "rules": "magenta", "c": 0.8}
    assert [entry["events"] for entry in melodies_in(tmp_path / "a")] == [
        entry["events"] for entry in melodies_in(tmp_path / "b")
    ]


@pytest.fixture
def note_rnn_near(tmp_path: Path) -> Path:
    NoteRNN(hidden_sizes=(8,), seed=1).save(tmp_path / "near")
    return tmp_path / "near"
