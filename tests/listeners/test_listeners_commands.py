"""`rltuner listeners`: playlists, the system, the pages of a search, and mistakes."""

from pathlib import Path

import pytest
import torch

from rltuner.commands.main import main
from rltuner.listeners.agents.posterior import PosteriorFinder
from rltuner.listeners.environments.grid import GridListeners
from rltuner.listeners.environments.likes import Preference
from rltuner.listeners.environments.raters import raters
from rltuner.listeners.music.catalogue import catalogue
from rltuner.listeners.music.features import danceability, features
from rltuner.listeners.music.space import space
from rltuner.listeners.playlists.composing import RhythmRule, compose_for, preference_book
from rltuner.listeners.playlists.search import Search
from rltuner.listeners.tables.grid import converged_at
from rltuner.listeners.tables.spread import spread
from rltuner.listeners.tables.system import searches
from rltuner.melody import Melodies
from rltuner.networks.note_rnn import NoteRNN


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["table", "gird"], "did you mean 'grid'"),
        (["train", "--env", "session"], "did you mean 'sessions'"),
        (["train", "--agent", "ddpg"], "grid has a2c, acktr"),
        (["train", "--agent", "a2d"], "did you mean 'a2c'"),
        (["train", "--env", "sessions", "--logs", "x.csv"], "--logs and --items go together"),
        (["recommend", "--like", "jgi", "--sources", "human"], "did you mean 'jig'"),
        (["recommend", "--sources", "human"], "something to go by"),
        (["recommend", "--sources", "nothing_there", "--like", "jig"], "nothing_there"),
        (["find", "--no-feed"], "--no-feed needs --target"),
        (["map", "--dimensions", "1"], "dimensions"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    words: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(["listeners", *words])
    assert stopped.value.code == 2
    error = capsys.readouterr().err.strip()
    assert says in error.replace("\n", " ")
    assert len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_playlist_is_of_the_family_and_says_why(tmp_path: Path) -> None:
    main(
        [
            "listeners",
            "recommend",
            "--like",
            "jig",
            "--count",
            "3",
            "--sources",
            "human",
            "--out",
            str(tmp_path / "p"),
        ]
    )
    files = sorted(path.name for path in (tmp_path / "p").iterdir())
    assert len(files) == 4
    assert files[-1] == "why.md"
    assert (tmp_path / "p" / "why.md").read_text().count("**: jig, transcribed by") == 3
    assert len(Melodies.from_midi(tmp_path / "p" / files[0]).notes(0)) > 8


def test_composed_melodies_are_more_like_the_family_than_the_note_rnns() -> None:
    """The rhythm rule's mean reward of what particles composed for jigs, and of the Note RNN's own 6/8."""
    known = catalogue(("human",))
    network = NoteRNN.load("note_rnn")
    steered = compose_for(Preference("slip jig"), known, network, 6, seed=1)
    book, meter = preference_book(Preference("slip jig"), known)
    assert str(meter) == "9/8"
    from rltuner.networks.policy import Policy

    plain = Policy("note_rnn", network).compose(200, steered.events.shape[1], primer="none", seed=1)
    rule = book.rules["rhythm"]
    assert rule(steered).sum(dim=1).mean() > rule(plain).sum(dim=1).mean() + 1
    wanted = compose_for(Preference(danceability=(0.9, 1.0)), known, network, 6, seed=1)
    free = Policy("note_rnn", network).compose(200, wanted.events.shape[1], primer="none", seed=1)
    assert danceability(wanted).mean() > danceability(free).mean() + 0.05


def test_a_rhythm_rule_pays_by_place_and_kind() -> None:
    odds = torch.zeros(16, 3)
    odds[4] = torch.tensor([1.0, 2.0, 3.0])
    events = [[1] * 4 + [kind] + [1] * 11 for kind in (14, 1, 0)]
    assert RhythmRule(odds)(Melodies(events)).sum(dim=1).tolist() == [1.0, 2.0, 3.0]


def test_the_system_finds_targets_and_two_raters_who_hear_alike_agree() -> None:
    """With the grid's own features the second rater is near the ideal user, with others farther away."""
    known = catalogue(("human",))
    network = NoteRNN(hidden_sizes=(4,))
    rows = features(known.tunes, "measured", network)
    found, ideal = space(rows, 2), raters(2)
    finder = PosteriorFinder(ideal, GridListeners(ideal, 1).worth)
    alike = searches(known, found, ideal, finder, found.points, targets=3)
    apart = searches(known, found, ideal, finder, features(known.tunes, "layer 1", network), targets=3)
    assert len(alike) == sum(min(3, count) for count in known.counts.values())
    assert all(one.found <= 21 for one in alike)
    means = [
        sum(sum(o.differences) / len(o.differences) for o in part) / len(part) for part in (alike, apart)
    ]
    assert means[0] < means[1]


def test_a_persons_search_on_the_pages(tmp_path: Path) -> None:
    """The answers are kept, a form sent twice counts once, and a rating of 4 ends it."""
    pytest.importorskip("fastapi")
    import json

    from fastapi.testclient import TestClient

    from rltuner.listeners.playlists import pages_server

    known = catalogue(("human",))
    found = space(features(known.tunes, "measured", NoteRNN(hidden_sizes=(4,))), 2)
    ideal, noisy = raters(2), raters(2, kind="noisy")
    finder = PosteriorFinder(noisy, GridListeners(noisy, 1).worth)
    search = Search(known, found, finder, ideal, int(found.cells[0]), True, tmp_path / "answers.jsonl")
    app = pages_server.create_app(search, known.melody(0), tmp_path)
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        page = client.get("/").text
        assert "Tune 1" in page
        path = page.split('src="clip/')[1].split('"')[0]
        assert client.get(f"/clip/{path}").content[:4] == b"fLaC"
        assert client.get("/clip/nothing").status_code == 404
        for _ in range(2):
            client.post("/answer", data={"trial": "1", "rating": "1"})
        assert "Tune 2" in client.get("/").text
        client.post("/answer", data={"trial": "2", "rating": "9", "closer": "2"})
        assert "Tune 2" in client.get("/").text
        client.post("/answer", data={"trial": "2", "rating": "5", "closer": "2"})
        assert "Found after 2 tunes" in client.get("/").text
    records = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [(record["rating"], record["closer"]) for record in records] == [(0, False), (4, True)]


def test_convergence_and_intervals_by_hand() -> None:
    """A curve that reaches its level at the 10th of 20 records; Student's t of 5 seeds is 2.776."""
    curve = [{"updates": n, "steps": 10 * n, "mean": 0.0 if n < 10 else 1.0} for n in range(1, 21)]
    assert converged_at(curve) == (14, 140)
    assert spread([1, 2, 3, 4, 5]).half == pytest.approx(2.776 * 1.5811 / 5**0.5, abs=1e-3)
    assert spread([]).text() == ""
