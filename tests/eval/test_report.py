"""The evaluator as a whole: a policy that plays one melody looks as bad as it is, and the report stands by itself."""

import csv
import json
import re
import warnings
from pathlib import Path

import pytest
import torch

from rltuner.errors import InputError
from rltuner.eval.command import run
from rltuner.eval.config import EvaluateConfig
from rltuner.eval.rows import all_rows
from rltuner.eval.sources import pooled
from rltuner.melody import NO_EVENT, Melodies, Meter
from rltuner.networks.compose import compose
from rltuner.networks.divergence import divergences, log_probabilities
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import Policy, load


@pytest.fixture(scope="module")
def one_melody(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that plays the best of 1,000 melodies of psi's, whatever it hears first: it has gamed the rules.

    Its state counts the steps: unit i of the one layer is on after i + 1 events, and its outputs say what comes next.
    """
    from rltuner.rules import load_rulebook

    melodies = compose(load("psi"), 1_000, 32, seed=4)
    best = int(load_rulebook("magenta").score(melodies)["total"].sum(dim=1).argmax())
    events = melodies.events[best].tolist()
    network = NoteRNN(hidden_sizes=(33,))
    lstm = network.layers[0]
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        weights = dict(lstm.named_parameters())
        size = 33
        forget, cell, out = slice(size, 2 * size), slice(2 * size, 3 * size), slice(3 * size, 4 * size)
        weights["bias_ih_l0"][:size] = -20.0  # the input gate opens for the next unit only
        weights["bias_ih_l0"][forget] = 20.0
        weights["bias_ih_l0"][cell] = 20.0
        weights["bias_ih_l0"][out] = 20.0
        weights["bias_ih_l0"][0] = 20.0
        for unit in range(1, size):
            weights["weight_hh_l0"][unit, unit - 1] = 60.0  # once the one before is on
        on = torch.tensor(1.0).tanh()
        network.output.weight[:] = 0.0
        total = torch.zeros(38)
        for unit, event in enumerate(events):
            wanted = torch.zeros(38)
            wanted[event] = 40.0
            network.output.weight[:, unit] = (wanted - total) / on
            total = wanted
    folder = tmp_path_factory.mktemp("one") / "one_melody"
    network.save(folder)
    played = compose(load(folder), 100, 32, seed=0)
    assert (played.events == melodies.events[best]).all()
    return folder


@pytest.fixture(scope="module")
def report(one_melody: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports") / "out"
    sources = ("note_rnn", "psi", str(one_melody), "human")
    run(EvaluateConfig(sources, count=500, rules="magenta", c=2.0, report=folder, threads=1))
    return folder


def figures(report: Path) -> dict[str, dict[str, float]]:
    """Source -> metric -> value."""
    sources = json.loads((report / "metrics.json").read_text())["sources"]
    return {Path(s).name: {n: m["value"] for n, m in j["metrics"].items()} for s, j in sources.items()}


def test_a_policy_that_plays_one_melody_comes_last(report: Path) -> None:
    found = figures(report)
    one = found["one_melody"]
    # The paper's table loves it ...
    assert one["notes_excessively_repeated"] == one["notes_not_in_key"] == 0
    assert one["compositions_starting_with_tonic"] == 1
    assert one["rule_total"] > found["psi"]["rule_total"]
    # ... and everything about a set of melodies shows what it is.
    others = [found[name] for name in ("note_rnn", "psi", "human")]
    assert one["distinct"] == 1 / 500 < min(other["distinct"] for other in others)
    assert one["edit_distance"] == 0
    assert one["self_similarity"] == 1
    assert one["entropy"] < 0.01 < min(other["entropy"] for other in others[:2])
    assert one["told_from_human"] >= max(other["told_from_human"] for other in others)
    assert one["overlap_area"] < min(other["overlap_area"] for other in others)
    assert "one_melody: only 0.20% of its melodies are distinct" in (report / "report.md").read_text()


def test_the_html_needs_nothing_else_and_says_what_the_json_says(report: Path) -> None:
    page = (report / "report.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)  # nothing is fetched; # is within the page
    assert "@import" not in page
    assert page.count("<figure>") == len(list((report / "plots").glob("*.png")))
    share = figures(report)["psi"]["compositions_starting_with_tonic"]
    assert f"{100 * share:.2f}±" in page
    for word in ("color-scheme: light dark", "Leaps resolved", "Differences from note_rnn", "data:image/png"):
        assert word in page


def test_the_csv_holds_every_figure_with_its_interval(report: Path) -> None:
    rows = list(csv.DictReader((report / "metrics.csv").open()))
    found = figures(report)
    assert {row["metric"] for row in rows} == {name for metrics in found.values() for name in metrics}
    for row in rows:
        if row["value"]:
            assert float(row["value"]) == pytest.approx(
                found[Path(row["source"]).name][row["metric"]], rel=1e-6
            )
        if row["low"]:
            assert float(row["low"]) <= float(row["value"]) + 1e-9 or row["metric"].startswith(
                "told_from_human"
            )
    assert not any(row["d"] for row in rows if row["source"] == "note_rnn")
    assert any(float(row["d"]) > 1 for row in rows if row["source"] == "psi" and row["d"])


def test_effects_have_the_sign_of_the_difference(report: Path) -> None:
    psi = json.loads((report / "metrics.json").read_text())["sources"]["psi"]["effect_against_first"]
    assert psi["compositions_starting_with_tonic"]["low"] > 1
    assert psi["log_prior"]["high"] < 0


def test_every_row_of_the_table_is_computed(report: Path) -> None:
    from rltuner.rules import load_rulebook

    assert set(figures(report)["psi"]) == {row.name for row in all_rows(load_rulebook("magenta"), 2.0)}


def test_divergences_are_their_definitions() -> None:
    policy, note_rnn = load("psi"), NoteRNN.load("note_rnn")
    melodies = compose(policy, 3, 12, seed=0)
    found = divergences(policy, note_rnn, melodies)
    for index in range(3):
        kl = reverse = entropy = log_prior = 0.0
        for t in range(12):
            heard = Melodies(
                melodies.events[index : index + 1, : t + 1], None, melodies.context[index : index + 1]
            )
            pi, p = (
                torch.tensor(every_class(network, heard))
                for network in (policy, Policy("note_rnn", note_rnn))
            )
            kl += float((pi.exp() * (pi - p)).sum())
            reverse += float((p.exp() * (p - pi)).sum())
            entropy -= float((pi.exp() * pi).sum())
            log_prior += float(p[melodies.events[index, t]])
        assert float(found.kl[index]) == pytest.approx(kl, abs=1e-3)
        assert float(found.reverse_kl[index]) == pytest.approx(reverse, abs=1e-3)
        assert float(found.entropy[index]) == pytest.approx(entropy, abs=1e-3)
        assert float(found.log_prior[index]) == pytest.approx(log_prior, abs=1e-3)


def every_class(policy: Policy, melodies: Melodies) -> list[float]:
    """log pi of every class at the last step, by asking for each class's log-probability."""
    alternatives = melodies.events.expand(38, -1).clone()
    alternatives[:, -1] = torch.arange(38)
    heard = Melodies(alternatives, None, melodies.context.expand(38, -1))
    return policy.log_prob(heard)[:, -1].tolist()


def test_files_of_any_lengths_are_judged_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Melodies([[14, 16, 18, 1]]).to_midi(tmp_path / "a.mid")
    Melodies([[14, 1, 21, 1, 19, 18, 16, 14] * 9]).to_midi(tmp_path / "b.mid")
    (tmp_path / "broken.mid").write_bytes(b"MThd nonsense")
    files = tuple(str(file) for file in sorted(tmp_path.glob("*.mid")))
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        found = run(EvaluateConfig(files, threads=1))
    [(name, figures)] = found["sources"].items()
    assert name == f"{tmp_path}/"
    assert (figures["melodies"], figures["steps"]) == (2, 76)
    assert len(figures["left_out_files"]) == 1
    assert "broken.mid" in figures["left_out_files"][0]
    assert "left out, since they could not be used: 1 of its files" in capsys.readouterr().out


def test_files_in_two_metres_are_refused_unless_one_is_given(tmp_path: Path) -> None:
    Melodies([[14, 1] * 12], meter=Meter(12, 4)).to_midi(tmp_path / "waltz.mid")
    Melodies([[14, 1] * 16]).to_midi(tmp_path / "reel.mid")
    with pytest.raises(InputError, match=r"reel.mid is in 4/4, .*waltz.mid in 3/4: .*--meter 4/4"):
        run(EvaluateConfig((str(tmp_path),), threads=1))
    assert (
        run(EvaluateConfig((str(tmp_path),), meter="4/4", threads=1))["sources"][str(tmp_path)]["melodies"]
        == 2
    )


def test_sources_on_different_grids_are_named() -> None:
    with pytest.raises(InputError, match="psi is in 4/4, human in 3/4"):
        run(EvaluateConfig(("psi", "human"), count=10, meter="3/4", threads=1))


def test_a_note_rnn_is_judged_in_the_metre_that_is_asked_for() -> None:
    found = run(
        EvaluateConfig(("note_rnn", "human"), count=40, length=24, meter="3/4", primer="none", threads=1)
    )
    both = [source["metrics"]["held_out_downbeat_onset"]["value"] for source in found["sources"].values()]
    assert both[0] == pytest.approx(both[1], abs=0.3)  # two bars of three beats: it begins both of them


def test_degenerate_melodies_have_values_and_no_warnings(tmp_path: Path) -> None:
    Melodies([[14] + [NO_EVENT] * 31]).to_midi(tmp_path / "one_note.mid")
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        found = run(EvaluateConfig((str(tmp_path / "one_note.mid"),), threads=1))
    metrics = next(iter(found["sources"].values()))["metrics"]
    assert metrics["pitch_range"]["value"] == 0
    assert metrics["distinct"]["value"] == 1
    assert metrics["leaps_resolved"]["value"] != metrics["leaps_resolved"]["value"]  # NaN: there is none


def test_single_files_are_pooled_where_the_first_stood(tmp_path: Path) -> None:
    for name in ("a.mid", "b.mid"):
        (tmp_path / name).touch()
    a, b = tmp_path / "a.mid", tmp_path / "b.mid"
    assert pooled(["note_rnn", str(a), "human", str(b)]) == [
        ("note_rnn", []),
        (f"{tmp_path}/", [a, b]),
        ("human", []),
    ]
    assert pooled([str(a)]) == [(str(a), [])]


def test_a_report_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(InputError, match="not an empty folder; give another --report"):
        run(EvaluateConfig(("human",), report=tmp_path, threads=1))
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_what_is_said_of_a_policy_is_said_of_it_at_its_temperature() -> None:
    policy, note_rnn = load("psi"), NoteRNN.load("note_rnn")
    melodies = compose(policy, 4, 8, seed=0, temperature=0.5)
    pi = (log_probabilities(policy, melodies) / 0.5).log_softmax(dim=-1)
    p = log_probabilities(note_rnn, melodies)
    found = divergences(policy, note_rnn, melodies, 0.5)
    assert found.entropy.tolist() == pytest.approx((-(pi.exp() * pi).sum(dim=(1, 2))).tolist(), rel=1e-4)
    assert found.kl.tolist() == pytest.approx((pi.exp() * (pi - p)).sum(dim=(1, 2)).tolist(), rel=1e-4)
    certain = divergences(policy, note_rnn, melodies, 0.0)
    assert certain.entropy.abs().max() < 1e-3
    likeliest = pi.argmax(dim=2, keepdim=True)
    assert certain.kl.tolist() == pytest.approx((-p.gather(2, likeliest).sum(dim=(1, 2))).tolist(), rel=1e-4)
    assert bool(certain.reverse_kl.isinf().all())


@pytest.mark.long
def test_names_are_shown_as_they_are_and_never_confused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = tmp_path / "z[_red] $a^^b$|x"
    for folder in (odd, tmp_path / "z"):
        folder.mkdir()
        for number, events in enumerate(([14, 1, 16, 18] * 8, [21, 19, 1, 18] * 8)):
            Melodies([events]).to_midi(folder / f"{number}.mid")
    sources = (str(odd), str(tmp_path / "z"), f"{tmp_path / 'z'}/", str(tmp_path / "z" / "0.mid"))
    report = tmp_path / "out"
    found = run(EvaluateConfig(sources, threads=1, report=report))
    assert list(found["sources"]) == [str(odd), str(tmp_path / "z"), str(tmp_path / "z" / "0.mid")]
    assert "z[_red] $a^^b$|x: 2 melodies" in capsys.readouterr().out
    markdown = (report / "report.md").read_text()
    assert "$a^^b$\\|x |" in markdown
    rolls = [file.name for file in (report / "plots").glob("*piano_rolls*")]
    assert len(rolls) == len(set(rolls)) == 3
    page = (report / "report.html").read_text()
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids)) > 100
    files = (str(tmp_path / "z" / "0.mid"), str(tmp_path / "z" / "1.mid"), str(tmp_path / "z"))
    assert list(run(EvaluateConfig(files, threads=1))["sources"]) == [
        f"{tmp_path / 'z'}/",
        str(tmp_path / "z"),
    ]


def test_two_songs_win_nothing_by_agreeing(tmp_path: Path) -> None:
    for number in range(2):
        Melodies([[14, 16, 18, 21] * 8]).to_midi(tmp_path / f"{number}.mid")
    metrics = run(EvaluateConfig((str(tmp_path),), threads=1))["sources"][str(tmp_path)]["metrics"]
    assert metrics["notes_not_in_key"]["value"] == 0
    assert all(m["low"] != m["low"] for m in metrics.values())  # two melodies tell nothing about others


def test_a_damaged_log_of_tuning_costs_its_picture_only(one_melody: Path, tmp_path: Path) -> None:
    (one_melody / "metrics.jsonl").write_text('{"updates": 10, "other": 1}\n{"updates": 2')
    run(EvaluateConfig((str(one_melody),), count=20, threads=1, report=tmp_path / "out"))
    assert not list((tmp_path / "out" / "plots").glob("*tuning*"))
    (one_melody / "metrics.jsonl").unlink()


def test_what_cannot_be_written_is_said_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for field in ({"json": tmp_path / ("x" * 300)}, {"report": tmp_path / ("y" * 300)}):
        with pytest.raises(InputError, match="File name too long"):
            run(EvaluateConfig(("note_rnn",), count=10, threads=1, **field))
    with pytest.raises(InputError, match="no such checkpoint"):
        run(EvaluateConfig(("z" * 300,), count=10, threads=1))
    assert "judged" not in capsys.readouterr().err
