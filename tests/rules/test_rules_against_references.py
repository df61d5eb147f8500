"""The rules agree with RL Tuner's own numbers and with a slow second implementation on thousands of tunes."""

import itertools

import numpy as np
import pytest
import torch
from generators import HOLD, REST, random_tunes, tunes
from hypothesis import given
from slow_reference import RULES, motif, repeated_motif

from rltuner.melody import Melodies
from rltuner.rules import load_rulebook
from rltuner.rules.making import make_rule

LEAVES = ["total", *RULES]
CLOSE = 1e-4


@pytest.fixture(scope="module")
def many_tunes() -> list[list[int]]:
    return random_tunes(3000, seed=1)


def assert_rewards(scored: torch.Tensor, expected: list[list[float]], all_tunes: list[list[int]]) -> None:
    """Every event earns what is expected, and every event of padding 0."""
    padded = torch.zeros(scored.shape)
    for row, rewards in zip(padded, expected, strict=True):
        row[: len(rewards)] = torch.tensor(rewards)
    wrong = ((scored - padded).abs() > CLOSE).nonzero()
    if len(wrong):
        b, t = wrong[0].tolist()
        pytest.fail(f"event {t} of {all_tunes[b]} earns {scored[b, t]}, expected {padded[b, t]}")


def test_the_magenta_book_has_the_nine_rules() -> None:
    assert set(load_rulebook("magenta").rules) == set(RULES)


def test_the_oracle_covers_every_rule(oracle: dict[str, np.ndarray]) -> None:
    stored = {name.removeprefix("rewards_") for name in oracle if name.startswith("rewards_")}
    assert stored == set(RULES)
    for name in stored:
        assert np.count_nonzero(oracle[f"rewards_{name}"]) > 30


@pytest.mark.parametrize("name", RULES)
def test_every_event_earns_what_rl_tuner_pays(name: str, oracle: dict[str, np.ndarray]) -> None:
    reward = make_rule(name, {})(Melodies(oracle["compositions"])).numpy()
    undecided = np.zeros(reward.shape, dtype=bool)
    if name == "penalize_autocorrelation":
        undecided = oracle["debug_autocorr_near_threshold"]
        assert undecided.sum() < 50
    np.testing.assert_allclose(reward[~undecided], oracle[f"rewards_{name}"][~undecided], rtol=0, atol=CLOSE)


def test_the_magenta_book_pays_what_rl_tuner_pays(oracle: dict[str, np.ndarray]) -> None:
    scores = load_rulebook("magenta").score(Melodies(oracle["compositions"]))
    decided = ~oracle["debug_autocorr_near_threshold"]
    np.testing.assert_allclose(
        scores["total"].numpy()[decided], oracle["reward_total"][decided], rtol=0, atol=CLOSE
    )
    for name in RULES:
        if name != "penalize_autocorrelation":
            np.testing.assert_allclose(scores[name], oracle[f"rewards_{name}"], rtol=0, atol=CLOSE)


@pytest.mark.parametrize("name", RULES)
def test_the_slow_reference_itself_agrees_with_rl_tuner(name: str, oracle: dict[str, np.ndarray]) -> None:
    decided = np.ones((400, 32), dtype=bool)
    if name == "penalize_autocorrelation":
        decided = ~oracle["debug_autocorr_near_threshold"]
    rewards = np.array([RULES[name](tune) for tune in oracle["compositions"].tolist()])
    np.testing.assert_allclose(rewards[decided], oracle[f"rewards_{name}"][decided], rtol=0, atol=CLOSE)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_equals_its_slow_reference_on_thousands_of_tunes(
    name: str, many_tunes: list[list[int]]
) -> None:
    expected = [RULES[name](tune) for tune in many_tunes]
    assert sum(any(rewards) for rewards in expected) > 100
    assert_rewards(make_rule(name, {})(Melodies.from_lists(many_tunes)), expected, many_tunes)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_equals_its_slow_reference_on_every_short_tune(name: str) -> None:
    classes = [REST, HOLD, 14, 21, 35]
    every = [list(tune) for length in range(1, 5) for tune in itertools.product(classes, repeat=length)]
    assert_rewards(make_rule(name, {})(Melodies.from_lists(every)), [RULES[name](t) for t in every], every)


@given(tune=tunes(min_size=1, max_size=64))
def test_a_whole_book_equals_its_slow_reference(tune: list[int]) -> None:
    scores = load_rulebook("magenta").score(Melodies(tune))
    expected = {name: definition(tune) for name, definition in RULES.items()}
    expected["total"] = [sum(rewards) for rewards in zip(*expected.values(), strict=True)]
    for name in LEAVES:
        np.testing.assert_allclose(scores[name][0], expected[name], rtol=1e-6, atol=CLOSE, err_msg=name)


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 12, 16, 31])
def test_motifs_of_any_length_equal_their_slow_reference(steps: int) -> None:
    several = random_tunes(450, seed=steps)
    several += [tune[:steps] * 3 for tune in random_tunes(90, seed=steps + 100)]
    batch = Melodies.from_lists(several)
    assert_rewards(make_rule("motif", {"steps": steps})(batch), [motif(t, steps) for t in several], several)
    expected = [repeated_motif(tune, steps) for tune in several]
    assert any(any(rewards) for rewards in expected) == (steps >= 3)
    assert_rewards(make_rule("repeated_motif", {"steps": steps})(batch), expected, several)


@pytest.mark.parametrize("name", ["key", "tonic", "preferred_intervals"])
@pytest.mark.parametrize(
    ("semitones", "tonic"),
    [
        (-5, "G"),
        (-4, "Ab"),
        (-3, "A"),
        (-2, "Bb"),
        (-1, "B"),
        (1, "C#"),
        (2, "D"),
        (3, "Eb"),
        (4, "E"),
        (5, "F"),
    ],
)
def test_a_transposed_tune_earns_the_same_in_its_own_key(name: str, semitones: int, tonic: str) -> None:
    middle = [
        [min(max(event, 8), 30) if event > HOLD else event for event in tune] for tune in random_tunes(90, 16)
    ]
    moved = [[event + semitones if event > HOLD else event for event in tune] for tune in middle]
    judge, moved_judge = make_rule(name, {}), make_rule(name, {"key": f"{tonic} major"})
    reward = judge(Melodies.from_lists(middle))
    assert torch.equal(moved_judge(Melodies.from_lists(moved)), reward)
    assert not torch.equal(judge(Melodies.from_lists(moved)), reward)


def test_autocorrelation_of_a_tune_of_five_thousand_steps_is_exact() -> None:
    tune = [2, 37] * 2500
    reward = make_rule("penalize_autocorrelation", {})(Melodies(tune))[0]
    for t in (999, 1999, 2999, 3399, 3999, 4999):
        n = t + 1  # even, so r is -(n - 1)/n, (n - 2)/n and -(n - 3)/n
        assert float(reward[t]) == pytest.approx(-3 * (3 * n - 6) / n, abs=CLOSE)


def test_an_autocorrelation_of_exactly_the_threshold_costs_nothing() -> None:
    tune = [1, 3, 2, 0]  # r is -3/20, -1/2 and 3/20 at lags 1, 2 and 3
    assert float(make_rule("penalize_autocorrelation", {})(Melodies(tune))[0, 3]) == -1.5
