"""Families, danceability, principal components and cells, by hand."""

import numpy as np
import pytest
import torch

from rltuner.errors import InputError
from rltuner.listeners.environments.likes import LikesListeners, Preference, Shelf
from rltuner.listeners.music.catalogue import Catalogue
from rltuner.listeners.music.families import family, known_family, transcriber
from rltuner.listeners.music.features import MEASURED, danceability, features, hidden_means
from rltuner.listeners.music.space import centre_distances, neighbour_accuracy, space
from rltuner.melody import Melodies, Meter
from rltuner.melody.tunes import Tune
from rltuner.networks.note_rnn import NoteRNN


def tune(title: str = "", rhythm: str = "", credit: str = "", events: tuple[int, ...] = (14,) * 16) -> Tune:
    return Tune(title, f"a book: {title}", credit, Meter(), events, rhythm=rhythm)


@pytest.mark.parametrize(
    ("title", "rhythm", "found"),
    [
        ("The Morning Dew", "Double Jig", "jig"),
        ("A Jig", "reel", "reel"),  # what R: says comes first
        ("The Boys of Bluehill -- Hornpipe", "", "hornpipe"),
        ("Slip Jig", "", "slip jig"),
        ("A Fair Wind", "", "untyped 4/4"),  # "fair" is no air
        ("The Dear Irish Air", "", "air"),
        ("", "Barn  Dance", "barn dance"),
    ],
)
def test_the_family_of_a_tune(title: str, rhythm: str, found: str) -> None:
    assert family(tune(title, rhythm)) == found


@pytest.mark.parametrize(
    ("credit", "name"),
    [
        ("Transcribed by Bob Safranek, rjs@gsp.org", "Bob Safranek"),
        ("1997 by John Chambers <jc@trillian.mit.edu>", "John Chambers"),
        ("Contributed by Ray Davies,  ray:davies99.freeserve.co.uk", "Ray Davies"),
        ("", "unnamed"),
    ],
)
def test_the_transcriber_of_a_tune(credit: str, name: str) -> None:
    assert transcriber(tune(credit=credit)) == name


def test_the_nearest_family_is_suggested() -> None:
    with pytest.raises(InputError, match="did you mean 'hornpipe'"):
        known_family("hornpype", ["reel", "hornpipe"])


def test_danceability_of_a_strict_pulse_and_of_none() -> None:
    """An onset every fourth of 32 steps: x - m is 3/4 once and -1/4 three times; at distance 4, 28 of 32 steps remain, so
    r = 28/32. Onsets on all steps have no pulse to measure."""
    beat = [14, 1, 1, 1] * 8
    assert danceability(Melodies([beat])).item() == pytest.approx(28 / 32)
    assert danceability(Melodies([[14] * 32])).isnan().item()
    generator = torch.Generator().manual_seed(0)
    noise = torch.where(torch.rand(1, 512, generator=generator) < 0.5, 14, 1)
    assert danceability(Melodies(noise)).item() < 0.3


def test_every_level_holds_a_fifth_and_components_are_ordered() -> None:
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(500, 6))
    rows[:, 1] = rows[:, 0] + 0.1 * rows[:, 1]
    found = space(rows, 3)
    assert np.bincount(found.levels[:, 0]).tolist() == [100] * 5
    assert (np.diff(found.explained) <= 0).all()
    points, cells = found.place(rows)
    assert np.allclose(points, found.points)
    assert (cells == found.cells).all()
    assert found.cells[0] == found.levels[0] @ [25, 5, 1]


def test_an_empty_cell_gives_the_tunes_of_the_nearest() -> None:
    rows = np.repeat(np.arange(10.0)[:, None], 2, axis=1) + np.array([0, 1e-3]) * np.random.default_rng(
        0
    ).normal(size=(10, 1))
    found = space(rows, 1)
    tunes, cell = found.in_cell(4)
    assert cell == 4
    assert len(tunes) == 2
    assert set(found.cells[tunes]) == {4}


def test_neighbours_and_centres_by_hand() -> None:
    points = np.array([[0.0, 0], [0, 1], [10, 0], [10, 1], [0, 1.5]])
    families = ["a", "a", "b", "b", "b"]
    assert neighbour_accuracy(points, families) == pytest.approx(
        3 / 5
    )  # (0, 1) has the stray b next to it, and it the a
    distances = centre_distances(points, families, ["a", "b"])
    assert distances[0, 1] == pytest.approx(np.hypot(20 / 3, 2.5 / 3 - 0.5))


def test_the_mean_hidden_state_is_the_networks_own() -> None:
    """Of one tune, unrolled by the network itself; tunes of other lengths and metres beside it change nothing."""
    network = NoteRNN(hidden_sizes=(5, 4), seed=1)
    one = tune(events=tuple([14, 1, 16, 1] * 8))
    other = Tune("", "", "", Meter(12, 6), tuple([20, 1, 1] * 4))
    events = torch.tensor([one.events])
    heard = torch.cat([torch.tensor([[-1]]), events[:, :-1]], dim=1)
    rows = network.inputs.rows  # noqa: F841 - the network hears the event alone
    hidden, _ = network.features((heard + 1)[..., None])
    means = hidden_means([other, one], network)
    assert [part.shape[1] for part in means] == [network.inputs.size, 5, 4]
    assert np.allclose(means[2][1], hidden[0].mean(dim=0).detach().numpy(), atol=1e-6)


def shelf() -> Shelf:
    tunes = tuple(
        tune(
            f"T{n}",
            "reel" if n % 2 else "jig",
            f"by {'AB'[n % 3 > 0]}",
            tuple([14, 1, 1, 1] * 4) if n % 4 else (14, 16) * 8,
        )
        for n in range(12)
    )
    known = Catalogue(tunes, tuple(family(one) for one in tunes))
    return Shelf(known, features(tunes, "measured", NoteRNN(hidden_sizes=(4,))))


def test_the_reward_of_a_like_is_the_mean_of_its_parts() -> None:
    """Both parts agree: 1; one of two: 0; none: -1; of a dislike the opposite."""
    known = shelf()
    listeners = LikesListeners(known, known.checked(Preference("REEL", "by A")), 1)
    worth = listeners.worth[:, 1]
    expected = [(1 if n % 2 else -1) + (1 if n % 3 == 0 else -1) for n in range(12)]
    assert (2 * worth).tolist() == expected
    assert torch.equal(listeners.worth[:, 0], -worth)
    assert listeners.likes.nonzero()[:, 0].tolist() == [3, 9]


def test_an_episode_ends_with_the_first_like_or_the_last_tune() -> None:
    known = shelf()
    listeners = LikesListeners(known, Preference("reel"), 1)
    shown = []
    for _ in range(12):
        tune_now = int(listeners.tune)
        shown.append(tune_now)
        if bool(listeners.step(torch.tensor([1])).done):
            break
    assert tune_now % 2 == 1
    assert all(number % 2 == 0 for number in shown[:-1])
    listeners.reset()
    ends = [bool(listeners.step(torch.tensor([0])).done) for _ in range(12)]
    assert ends == [False] * 11 + [True]


def test_a_preference_of_nothing_or_of_nobody() -> None:
    known = shelf()
    for preference, says in (
        (Preference(), "needs a family"),
        (Preference(transcriber="by Q"), "unknown transcriber"),
        (Preference(danceability=(0.9, 0.1)), "smaller first"),
    ):
        with pytest.raises(InputError, match=says):
            known.checked(preference)


def test_seventeen_numbers_describe_a_tune() -> None:
    assert len(MEASURED) == 17
    assert shelf().rows.shape == (12, 17 + 2 + 2 + 1)


def test_a_catalogue_of_nothing() -> None:
    with pytest.raises(InputError, match="the catalogue has 0 tunes"):
        Catalogue((), ())
