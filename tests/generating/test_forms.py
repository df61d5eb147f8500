"""Forms and endings: what is asked for is what is heard, and what cannot be had is said."""

from pathlib import Path

import pytest
import torch
from generated import melodies_in, refused, run

from rltuner.eval.form import ends_on, has_form
from rltuner.generating.forms import copied_steps, until
from rltuner.melody import Melodies, Meter
from rltuner.melody.key import Key
from rltuner.networks.compose import compose
from rltuner.networks.policy import load


def test_a_phrase_copies_the_first_of_its_letter_but_for_its_last_bar() -> None:
    steps = copied_steps("ABA", Meter(8, 4)).view(3, 32)
    assert (steps[:2] == -1).all()
    assert steps[2, :24].tolist() == list(range(24))
    assert (steps[2, 24:] == -1).all()


def test_copied_steps_are_played_again_and_the_others_as_the_policy_would_after_them() -> None:
    policy = load("tune")
    copied = torch.full((48,), -1)
    copied[32:] = torch.arange(16)
    melodies = compose(policy, 5, 48, seed=3, copied=copied)
    assert torch.equal(melodies.events[:, 32:], melodies.events[:, :16])
    assert torch.equal(melodies.events[:, :32], compose(policy, 5, 48, seed=3).events[:, :32])


@pytest.mark.parametrize(("form", "ending"), [("AABA", "closed"), ("AABB", "open")])
def test_melodies_have_the_form_and_the_ending(form: str, ending: str, tmp_path: Path) -> None:
    run("generate", "--form", form, "--ending", ending, "--count", "12", "--out", str(tmp_path / "out"))
    melodies = Melodies([entry["events"] for entry in melodies_in(tmp_path / "out")])
    assert melodies.events.shape == (12, 256)
    assert ends_on(melodies, Key.parse("C major"), ending).all()
    assert has_form(melodies, form).all()


def test_what_cannot_be_had_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    def held(contexts: torch.Tensor) -> Melodies:
        return Melodies(torch.ones(len(contexts), 16, dtype=torch.int64))

    until(held, torch.zeros(3, 1, dtype=torch.int64), Key.parse("C major"), None, "closed")
    assert "3 of 3 melodies have not the closed ending, after 100 tries" in " ".join(
        capsys.readouterr().err.split()
    )


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--form", "AABA", "--bars", "8"), "so it takes --bars 16; these are 8 bars of 4/4"),
        (("--form", "aaba"), "must be 2 to 8 letters from A on"),
        (("--form", "AABA", "--smc", "4"), "form or ending with smc"),
        (("--ending", "open", "--greedy"), "leave --greedy out"),
        (("tune", "--meter", "6/8"), "in 6/8: jig"),
        (("tune", "--meter", "7/8"), "in 7/8: note_rnn"),
        (("psi_gauldin",), "no longer shipped; use tune"),
    ],
)
def test_what_does_not_fit_is_named(
    options: tuple[str, ...],
    named: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert named in refused(capsys, "generate", *options)


@pytest.mark.parametrize(("meter", "steps"), [("4/4", 128), ("6/8", 96), ("3/4", 96), ("7/8", 112)])
def test_without_a_source_eight_bars_of_the_metre_are_composed(
    meter: str, steps: int, tmp_path: Path
) -> None:
    run("generate", "--meter", meter, "--count", "1", "--out", str(tmp_path / "out"))
    (melody,) = melodies_in(tmp_path / "out")
    assert len(melody["events"]) == steps  # type: ignore[arg-type]
