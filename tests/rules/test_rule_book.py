"""Rule books: what they add up, what identifies them, and how they say what is wrong."""

import dataclasses
from pathlib import Path

import pytest
import torch
from generators import random_tunes

from rltuner.errors import InputError
from rltuner.melody import Melodies, Meter
from rltuner.rules import load_rulebook
from rltuner.rules.book import RuleBook, book_from_table, book_names
from rltuner.rules.contract import RuleError
from rltuner.rules.making import make_rule, rule_names


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


def test_a_weight_of_zero_switches_a_rule_off(batch: Melodies) -> None:
    book = book_from_table("x", {"rules": {"motif": {"weight": 0}, "key": {}}})
    assert list(book.score(batch)) == ["key", "total"]
    assert book.digest == book_from_table("x", {"rules": {"key": {}}}).digest
    with pytest.raises(InputError, match="every rule in it has weight 0"):
        book_from_table("silent", {"rules": {"motif": {"weight": 0}}})


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
        ("[rules.motif]\nweight = 1" + "0" * 400, ["rules.motif.weight", "at most 1e+06"]),
        ("[rules.key]\npenalty = 1" + "0" * 400, ["'key'", "penalty", "not of type float"]),
        ('meter = "300/16"\n[rules.motif]', ["300/16", "255"]),
        ("[rules.motif]\nweight = true", ["rules.motif.weight", "True"]),
        ("[rules]\nmotif = 1", ["rules.motif must be a table"]),
        ("[rule.motif]", ["unknown entry 'rule'", "did you mean 'rules'?"]),
        ('description = "empty"', ["no rules in it"]),
        ("rules = 1", ["rules = 1", "must be a table with an entry for each rule"]),
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


def test_a_book_that_extends_another_replaces_entry_by_entry(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(
        'extends = "magenta"\nkey = "A minor"\n[rules.key]\nweight = 2\n[rules.motif]\nweight = 0\n'
    )
    (tmp_path / "mine.toml").write_text('extends = "base.toml"\n[rules.key]\npenalty = -5\n[rules.cadence]\n')
    book = load_rulebook(tmp_path / "mine.toml")
    assert set(book.rules) == set(load_rulebook("magenta").rules) - {"motif"} | {"cadence"}
    assert book.key == "A minor"
    assert book.table["rules"]["key"] == {"weight": 2.0, "key": "A minor", "penalty": -5.0}
    assert book.table["rules"]["tonic"]["reward"] == 3.0


def test_books_that_extend_each_other_in_a_circle_are_named(tmp_path: Path) -> None:
    for name, parent in (("a", "b"), ("b", "c"), ("c", "a")):
        (tmp_path / f"{name}.toml").write_text(f'extends = "{parent}.toml"\n[rules.key]\n')
    assert "extends goes in a circle: a.toml -> b.toml -> c.toml -> a.toml" in refusal(
        str(tmp_path / "a.toml")
    )


def test_a_book_may_have_the_name_of_the_one_it_extends(tmp_path: Path) -> None:
    (tmp_path / "magenta.toml").write_text('extends = "magenta"\n[rules.key]\nweight = 3\n')
    assert load_rulebook(tmp_path / "magenta.toml").weights["key"] == 3


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('extends = "magneta"', ["unknown rule book 'magneta'", "did you mean 'magenta'?"]),
        ('extends = "none.toml"', ["none.toml: no such rule book"]),
        ('extends = "rules.py"', ["extends = 'rules.py'", "shipped book or a .toml file"]),
        ("extends = 3", ["extends = 3"]),
        ('extends = "magenta"\nrules = 3', ["rules = 3", "must be a table"]),
        ('extends = "magenta"\n[rules]\nkey = 2', ["rules.key must be a table"]),
        ('meter = "5/32"\n[rules.key]', ["5/32", "the sixteenth grid cannot hold it"]),
        ('meter = "3-4"\n[rules.key]', ["'3-4'", "such as '3/4'"]),
        ("meter = 3\n[rules.key]", ["meter = 3"]),
        ('metre = "3/4"\n[rules.key]', ["unknown entry 'metre'", "did you mean 'meter'?"]),
    ],
)
def test_what_is_wrong_in_a_book_or_its_parents_is_named(text: str, parts: list[str], write_book) -> None:
    path = write_book(text)
    message = refusal(path)
    assert path in message
    for part in parts:
        assert part in message


def test_the_meter_of_a_book_is_where_its_rules_see_bars() -> None:
    events = [14, *[1] * 11, 16, *[1] * 11]
    waltz = book_from_table("x", {"meter": "3/4", "rules": {"downbeat_onset": {}}})
    free = book_from_table("x", {"rules": {"downbeat_onset": {}}})
    assert waltz.score(Melodies(events))["total"].sum() == 2
    assert free.score(Melodies(events))["total"].sum() == 0
    assert free.score(Melodies(events, meter=Meter(12, 4)))["total"].sum() == 2
    assert waltz.meter == Meter(12, 4)
    assert waltz.digest != free.digest


def test_a_key_given_besides_replaces_the_books() -> None:
    book = load_rulebook("gauldin", key="A harmonic minor")
    assert {entry["key"] for entry in book.table["rules"].values() if "key" in entry} == {"A harmonic minor"}


def test_the_gauldin_book_has_a_rule_for_each_of_its_ideas() -> None:
    for name, count in (("gauldin", 13), ("gauldin_two_bars", 11)):
        book = load_rulebook(name)
        assert len(book.rules) == count
        assert all(weight > 0 for weight in book.weights.values())


def test_a_rule_that_misbehaves_in_a_batch_is_named_by_score() -> None:
    book = load_rulebook("magenta")
    broken = dataclasses.replace(book, rules={"odd": lambda melodies: melodies.events}, weights={"odd": 1.0})
    with pytest.raises(RuleError, match=r"rule 'odd' returned torch.int64; expected torch.float32"):
        broken.score(Melodies([14]))
