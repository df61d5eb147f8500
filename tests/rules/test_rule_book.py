"""Rule books: what they add up, what identifies them, and how they say what is wrong."""

from pathlib import Path

import pytest
import torch
from conftest import random_tunes

from rltuner.errors import InputError
from rltuner.melody import Melodies
from rltuner.rules import RuleBook, book_names, load_rulebook, make_rule, rule_names
from rltuner.rules.book import book_from_table


@pytest.fixture
def batch() -> Melodies:
    return Melodies.from_lists(random_tunes(90, seed=7))


@pytest.fixture
def write_book(tmp_path: Path):
    def write(text: str) -> str:
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return str(path)

    return write


def refusal(name_or_path: str) -> str:
    with pytest.raises(InputError) as raised:
        load_rulebook(name_or_path)
    message = str(raised.value)
    assert "\n" not in message
    return message


def test_the_magenta_book_is_shipped_and_sets_the_rules_own_defaults() -> None:
    assert "magenta" in book_names()
    book = load_rulebook("magenta")
    assert all(book.rules[name] == make_rule(name, {}) for name in rule_names() if name in book.rules)
    assert set(book.weights.values()) == {1.0}


def test_the_total_is_the_sum_of_the_rules(batch: Melodies) -> None:
    scores = load_rulebook("magenta").score(batch)
    parts = torch.stack([reward for name, reward in scores.items() if name != "total"])
    assert len(parts) == 9
    torch.testing.assert_close(scores["total"], parts.sum(dim=0))
    assert scores["total"].abs().sum() > 0


def test_a_weight_multiplies_its_rule_and_only_that(batch: Melodies) -> None:
    plain = book_from_table("plain", {"rules": {"motif": {}, "key": {}}}).score(batch)
    heavy = book_from_table("heavy", {"rules": {"motif": {"weight": -2.5}, "key": {}}}).score(batch)
    torch.testing.assert_close(heavy["motif"], -2.5 * plain["motif"])
    torch.testing.assert_close(heavy["key"], plain["key"])
    torch.testing.assert_close(heavy["total"], heavy["motif"] + heavy["key"])


def test_a_weight_of_zero_silences_a_rule(batch: Melodies) -> None:
    scores = book_from_table("silent", {"rules": {"motif": {"weight": 0}}}).score(batch)
    assert not scores["total"].any()
    assert scores["total"].dtype == torch.float32


def test_a_parameter_reaches_its_rule() -> None:
    book = book_from_table("x", {"rules": {"key": {"penalty": -7}}})
    assert book.score(Melodies([15]))["key"].tolist() == [[-7.0]]


def test_the_key_of_a_book_is_given_to_its_rules() -> None:
    f_sharp, f, a_below_middle_c = 20, 19, 11
    book = book_from_table("x", {"key": "G major", "rules": {"key": {}, "motif": {}}})
    assert book.score(Melodies([f_sharp, f]))["key"].tolist() == [[0.0, -1.0]]
    minor = book_from_table("x", {"key": "A minor", "rules": {"tonic": {}, "preferred_intervals": {}}})
    scores = minor.score(Melodies([a_below_middle_c, 1]))
    assert scores["tonic"][0, 0] == 3.0
    assert scores["preferred_intervals"][0, 1] == pytest.approx(1.5)


def test_a_rule_keeps_the_key_that_it_sets_itself() -> None:
    f_sharp = 20
    book = book_from_table("x", {"key": "C major", "rules": {"key": {"key": "G major"}}})
    assert book.score(Melodies([f_sharp]))["key"].tolist() == [[0.0]]


def test_a_book_file_is_read_with_its_name(write_book) -> None:
    book = load_rulebook(write_book('description = "d"\nkey = "D dorian"\n[rules.tonic]\nreward = 2'))
    assert (book.name, book.description, book.key) == ("mine", "d", "D dorian")
    assert book.score(Melodies([16]))["tonic"].tolist() == [[2.0]]  # class 16 is D


def digest(**entries: object) -> str:
    return book_from_table("x", {"rules": {"tonic": {}}, **entries}).digest


def test_the_digest_changes_with_parameter_weight_key_and_rule() -> None:
    variants = [
        digest(),
        digest(rules={"tonic": {"reward": 4.0}}),
        digest(rules={"tonic": {"weight": 2}}),
        digest(rules={"tonic": {}, "key": {}}),
        digest(key="D major"),
    ]
    assert len(set(variants)) == len(variants)


def test_the_digest_does_not_change_with_wording() -> None:
    assert digest(description="some other words") == digest()
    assert digest(rules={"tonic": {"reward": 3}}) == digest(rules={"tonic": {"reward": 3.0, "weight": 1}})
    assert digest(rules={"key": {}, "tonic": {}}) == digest(rules={"tonic": {}, "key": {}})
    assert load_rulebook("magenta").digest == load_rulebook("magenta").digest


def test_a_resolved_book_loads_again_as_the_same_book(batch: Melodies) -> None:
    book = load_rulebook("magenta")
    again = book_from_table("again", book.table)
    assert again.digest == book.digest
    assert again.table == book.table
    assert torch.equal(again.score(batch)["total"], book.score(batch)["total"])


def test_a_misspelt_book_is_answered_with_the_nearest() -> None:
    assert refusal("magneta").startswith("unknown rule book 'magneta'; did you mean 'magenta'?")


def test_a_missing_file_is_named_beside_the_shipped_books() -> None:
    message = refusal("no/such/book.toml")
    assert message.startswith("no/such/book.toml: no such rule book")
    assert "magenta" in message


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[rules.tonc]", ["unknown rule 'tonc'", "did you mean 'tonic'?"]),
        ("[rules.tonic]\nrewrad = 1", ["'tonic'", "unknown parameter 'rewrad'", "did you mean 'reward'?"]),
        ("[rules.high_low_unique]\nxyz = 1", ["unknown parameter 'xyz'", "known: reward"]),
        ("[rules.tonic]\nfinal_steps = 2.5", ["'tonic'", "final_steps = 2.5", "int"]),
        ("[rules.tonic]\nreward = true", ["'tonic'", "reward = True", "float"]),
        ("[rules.key]\npenalty = nan", ["'key'", "penalty = nan", "finite"]),
        ("[rules.key]\npenalty = -inf", ["'key'", "penalty = -inf", "finite"]),
        ("[rules.key]\nkey = 3", ["'key'", "key = 3", "str"]),
        ('[rules.key]\nkey = "H major"', ["'key'", "'H major'"]),
        ('key = "C majr"\n[rules.key]', ["'C majr'", "did you mean 'major'?"]),
        ("key = 3\n[rules.key]", ["key", "strings"]),
        ("[rules.motif]\nsteps = 0", ["'motif'", "steps = 0"]),
        ("[rules.repeated_motif]\nsteps = -8", ["'repeated_motif'", "steps = -8"]),
        ("[rules.motif]\nweight = inf", ["rules.motif.weight", "inf"]),
        ('[rules.motif]\nweight = "1"', ["rules.motif.weight", "'1'"]),
        ("[rules.motif]\nweight = true", ["rules.motif.weight", "True"]),
        ("[rules]\nmotif = 1", ["rules.motif must be a table"]),
        ("[rule.motif]", ["unknown entry 'rule'", "did you mean 'rules'?"]),
        ('description = "empty"', ["no rules in it"]),
        ("rules = 1", ["no rules in it"]),
        ("[rules.motif", ["not a TOML file"]),
    ],
)
def test_an_error_names_the_book_the_entry_and_the_remedy(text: str, parts: list[str], write_book) -> None:
    path = write_book(text)
    message = refusal(path)
    assert path in message
    for part in parts:
        assert part in message


def test_a_book_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00")
    assert str(path) in refusal(str(path))


def test_a_rule_without_parameters_takes_none() -> None:
    with pytest.raises(InputError, match=r"unknown parameter 'reward'.*known: penalty"):
        make_rule("penalize_repeating", {"reward": 1.0})


def test_books_are_frozen() -> None:
    book: RuleBook = load_rulebook("magenta")
    with pytest.raises(AttributeError):
        book.key = "D major"  # type: ignore[misc]
