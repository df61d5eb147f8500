"""Sessions: the simulator's formula, what an action plays, logs of people, and what plays best."""

from pathlib import Path

import pytest
import torch

from rltuner.errors import InputError
from rltuner.listeners.agents.session_baselines import TastePosterior, at_random, like_what_was_kept, scores
from rltuner.listeners.environments.logs import LoggedResponses, read_items, read_logs
from rltuner.listeners.environments.sessions import SessionListeners
from rltuner.listeners.environments.skipping import SLOPE, Skipping

POINTS = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))


def test_a_random_tune_is_kept_three_times_in_ten() -> None:
    sessions = SessionListeners(POINTS, Skipping(POINTS), 4000)
    assert scores(sessions, at_random()).mean() / 15 == pytest.approx(0.3, abs=0.01)


def test_the_formula_at_the_taste_itself_and_at_the_mean_distance() -> None:
    skipping = Skipping(POINTS)
    taste = POINTS[:1]
    away = taste + torch.tensor([[skipping.mean, 0.0, 0.0]])
    assert skipping.keeps(taste, taste).logit().item() == pytest.approx(skipping.alpha, abs=1e-3)
    assert skipping.keeps(taste, away).logit().item() == pytest.approx(skipping.alpha - SLOPE, abs=1e-3)


def test_an_action_plays_the_nearest_tune_that_was_not_played() -> None:
    points = torch.arange(25.0)[:, None]
    sessions = SessionListeners(points, Skipping(points), 3)
    sessions.played = torch.tensor([[0, 1, 2, 3, 4], [10, 11, 12, 13, 14], [20, 21, 22, 23, 24]])
    assert sessions.nearest(torch.tensor([[2.2], [2.2], [23.9]])).tolist() == [5, 2, 19]


def test_knowing_more_keeps_more() -> None:
    """The posterior of who knows the formula, above what is like what was kept, above chance."""
    skipping = Skipping(POINTS)
    means = [
        scores(SessionListeners(POINTS, skipping, 1500, seed=3), player).mean().item()
        for player in (at_random(), like_what_was_kept, TastePosterior(skipping))
    ]
    assert means[0] + 1 < means[1] < means[2]


ITEMS = "song,tempo,mode\n" + "".join(f"s{n},{n},1\n" for n in range(25))


def log(tmp_path: Path, text: str) -> Path:
    (tmp_path / "items.csv").write_text(ITEMS)
    (tmp_path / "logs.csv").write_text(text)
    return tmp_path / "logs.csv"


def plays(session: str, songs: list[int], skipped: list[int]) -> str:
    return "".join(f"{session},s{song},{skip}\n" for song, skip in zip(songs, skipped, strict=True))


def test_logs_answer_what_was_logged_and_abstain_where_nothing_is_near(tmp_path: Path) -> None:
    """Two sessions of six plays: the state of the first, asked about its own sixth song, is answered as it was."""
    file = log(
        tmp_path,
        "session,song,skipped\n"
        + plays("a", [0, 1, 2, 3, 4, 5], [0, 1, 0, 1, 0, 0])
        + plays("b", [1, 2, 3, 4, 5, 6], [0, 1, 0, 1, 0, 1]),
    )
    names, points = read_items(tmp_path / "items.csv")
    assert points.mean(dim=0).abs().max() < 1e-5
    responses = LoggedResponses(points, read_logs(file, names))
    assert responses.kept.tolist() == [True, False]
    history = responses.keys[:, : 5 * 3]
    none = torch.Generator()
    assert responses.answer(history, torch.tensor([5, 6]), none).kept.tolist() == [True, False]
    far = responses.answer(history[:1], torch.tensor([24]), none)
    assert far.known.tolist() == [False]
    assert far.kept.tolist() == [False]


def test_a_session_over_logs_counts_what_was_not_answered(tmp_path: Path) -> None:
    file = log(
        tmp_path,
        "session,song,skipped\n"
        + plays("a", [0, 1, 2, 3, 4, 5], [0] * 6)
        + plays("b", [0, 1, 2, 3, 4, 6], [0] * 6),
    )
    names, points = read_items(tmp_path / "items.csv")
    sessions = SessionListeners(points, LoggedResponses(points, read_logs(file, names)), 2)
    for _ in range(15):
        sessions.step(points[[24, 24]])
    assert sessions.answered + sessions.abstained == 30
    assert sessions.abstained > 25


def test_yambdas_layout_is_read_from_a_made_up_file(tmp_path: Path) -> None:
    """Half an hour of silence ends a session; what is played to less than half is skipped."""
    import pyarrow
    import pyarrow.parquet

    plays = {
        "uid": [7] * 8,
        "timestamp": [0, 60, 120, 180, 240, 300, 5000, 5060],
        "item_id": [1, 2, 3, 4, 5, 6, 7, 8],
        "played_ratio_pct": [100, 49, 50, 0, 100, 100, 20, 90],
    }
    songs = {"item_id": list(range(1, 26)), "embed": [[float(n), float(n * n)] for n in range(25)]}
    pyarrow.parquet.write_table(pyarrow.table(plays), tmp_path / "listens.parquet")
    pyarrow.parquet.write_table(pyarrow.table(songs), tmp_path / "embeddings.parquet")
    names, points = read_items(tmp_path / "embeddings.parquet")
    logs = read_logs(tmp_path / "listens.parquet", names)
    assert points.shape == (25, 2)
    assert logs.kept.tolist() == [True, False, True, False, True, True, False, True]
    assert len(set(logs.session[:6].tolist())) == 1
    assert logs.session[6] == logs.session[7] != logs.session[0]
    assert len(LoggedResponses(points, logs).kept) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("session,song\na,s1\n", "no column skipped"),
        ("session,song,skipped\na,s1,0\na,s99,0\n", "row 2: unknown song 's99'; did you mean"),
        ("session,song,skipped,time\na,s1,0,5\na,s2,0,4\n", "row 2: time 4 lies before 5"),
        ("session,song,skipped\na,s1,maybe\n", "row 1: skipped = 'maybe'"),
        ("session,song,skipped,time\na,s1,0,nan\n", "row 1: a time is 'nan'"),
        ("session,song,skipped\na,s1\n", "row 1: not as many values"),
        ("session,song,skipped\n", "no plays"),
    ],
)
def test_what_is_wrong_with_logs_is_said_with_the_row(text: str, says: str, tmp_path: Path) -> None:
    file = log(tmp_path, text)
    names, _ = read_items(tmp_path / "items.csv")
    with pytest.raises(InputError, match=says):
        read_logs(file, names)


def test_items_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    for text, says in (
        ("title,x\na,1\n", "no column song"),
        ("song,x\na,1\na,2\n", "twice"),
        ("song,x\na,inf\n", "row 1"),
    ):
        (tmp_path / "items.csv").write_text(text)
        with pytest.raises(InputError, match=says):
            read_items(tmp_path / "items.csv")


def test_a_catalogue_that_is_too_small_for_a_session() -> None:
    with pytest.raises(InputError, match="a session needs 20"):
        SessionListeners(POINTS[:19], Skipping(POINTS[:19]), 1)
