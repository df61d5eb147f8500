"""Rules from elsewhere: files, lists, installed packages. What is registered, what is refused, and in which words."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from generators import random_tunes

from rltuner.errors import InputError
from rltuner.melody import Melodies
from rltuner.rules import load_rulebook, melody_rule, rule
from rltuner.rules.making import find, make_rule, rule_names
from rltuner.rules.plugins import load_file, load_installed
from rltuner.testing import check_rule

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
HEAD = "import torch\nfrom dataclasses import dataclass\nfrom rltuner.rules import rule, melody_rule\n"


@pytest.fixture
def write(tmp_path: Path):
    def write(code: str, name: str = "mine.py") -> Path:
        path = tmp_path / name
        path.write_text(HEAD + code)
        return path

    return write


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as raised:
        load_rulebook(path)
    message = str(raised.value)
    assert "\n" not in message
    assert path.name in message
    return message


PLAIN = "@rule('from_a_file')\ndef f(melodies):\n    return melodies.is_onset.float()\n"


def test_a_file_is_a_book_of_its_rules(write) -> None:
    book = load_rulebook(write(PLAIN))
    assert (book.name, list(book.rules), book.weights["from_a_file"]) == ("mine", ["from_a_file"], 1.0)
    assert book.score(Melodies([14, 1, 16]))["total"].tolist() == [[1, 0, 1]]
    assert find("from_a_file").source.endswith("mine.py")


def test_a_file_can_hold_a_book_of_its_own(write) -> None:
    code = "BOOK = {'extends': 'magenta', 'key': 'A minor', 'rules': {'from_a_file': {'weight': 2}}}\n"
    book = load_rulebook(write(PLAIN + code))
    assert set(book.rules) == {*load_rulebook("magenta").rules, "from_a_file"}
    assert (book.key, book.weights["from_a_file"]) == ("A minor", 2)


def test_the_digest_of_a_file_changes_with_its_code(write) -> None:
    one = load_rulebook(write(PLAIN)).digest
    assert load_rulebook(write(PLAIN, "other.py")).digest == one  # a renamed file is the same code
    assert load_rulebook(write(PLAIN + "# a comment\n")).digest != one
    assert load_rulebook(write(PLAIN)).digest == one


def test_a_changed_file_is_read_again(write) -> None:
    load_rulebook(write(PLAIN))
    book = load_rulebook(write(PLAIN.replace("is_onset.float()", "is_onset.float() * 3")))
    assert book.score(Melodies([14]))["total"].tolist() == [[3]]


def test_a_rule_may_use_what_is_defined_below_it(write) -> None:
    code = "@rule('early')\ndef f(melodies):\n    return later(melodies)\ndef later(m):\n    return m.is_onset.float()\n"
    assert load_rulebook(write(code)).rules.keys() == {"early"}


def test_parameters_of_every_plain_type(write) -> None:
    code = (
        "@rule('typed')\n@dataclass(frozen=True)\nclass Typed:\n    a: float = 1.0\n    b: int = 2\n    c: bool = True\n"
        "    d: str = 'x'\n    e: tuple[int, ...] = (1, 2)\n"
        "    def __call__(self, melodies):\n        return melodies.is_onset.float() * self.a * sum(self.e)\n"
    )
    load_rulebook(write(code))
    assert make_rule("typed", {"e": [3, 4], "a": 2})(Melodies([14])).tolist() == [[14]]
    for parameters, says in (
        ({"e": 3}, "e = 3 is not a list"),
        ({"e": [1.5]}, "1.5 is not of type int"),
        ({"c": 1}, "bool"),
    ):
        with pytest.raises(InputError, match=says):
            make_rule("typed", parameters)


CLASS = (
    "@rule('bad')\n@dataclass(frozen=True)\nclass Bad:\n    {field}\n"
    "    def __call__(self, melodies):\n        return melodies.is_onset.float()\n"
)


@pytest.mark.parametrize(
    ("code", "parts"),
    [
        ("@rule('bad')\ndef f():\n    pass\n", ["'bad'", "takes no argument"]),
        (
            "@rule('bad')\ndef f(melodies, weight=2):\n    pass\n",
            ["'bad'", "argument 'weight'", "frozen dataclass"],
        ),
        ("@rule('bad')\ndef f(melodies: int):\n    pass\n", ["argument 'melodies' is a int", "Melodies"]),
        ("@rule('bad')\ndef f(melodies) -> float:\n    pass\n", ["returns a float", "Tensor"]),
        ("@rule('bad')\ndef f(melodies):\n    return 1.0\n", ["'bad' returned a float"]),
        ("@rule('bad')\ndef f(melodies):\n    return melodies.events\n", ["torch.int64", "float32"]),
        ("@rule('bad')\ndef f(melodies):\n    return torch.zeros(3)\n", ["shape [3]", "[B, T]"]),
        ("@rule('bad')\ndef f(melodies):\n    return melodies.nope\n", ["line 6", "AttributeError"]),
        ("@rule('bad')\ndef f(melodies):\n    return melodies.events / 0\n", ["'bad' gave", "finite"]),
        ("@rule('bad')\nclass C:\n    def __call__(self, melodies): pass\n", ["'bad'", "frozen dataclass"]),
        (
            "@dataclass(frozen=True)\n@rule('bad')\nclass C:\n    def __call__(self, m): pass\n",
            ["put @rule above"],
        ),
        (CLASS.format(field="x: int"), ["parameter 'x' has no default"]),
        (CLASS.format(field="x: float = float('nan')"), ["parameter 'x'", "not a finite number"]),
        (CLASS.format(field="weight: float = 1.0"), ["parameter 'weight'", "the book's"]),
        (CLASS.format(field="x: list = None"), ["parameter 'x' is a", "use bool, int, float, str"]),
        (
            "@melody_rule('bad')\ndef f(events: str):\n    return []\n",
            ["argument 'events' is a str", "list[int]"],
        ),
        (
            "@melody_rule('bad')\ndef f(events):\n    return [0.0]\n",
            ["'bad' returned 1 rewards for 12 events"],
        ),
        (
            "@melody_rule('bad')\ndef f(events):\n    return ['x'] * len(events)\n",
            ["'bad' gave 'x' for event 0"],
        ),
        (
            "@rule('key')\ndef f(melodies):\n    return melodies.is_onset.float()\n",
            ["taken by a rule of rltuner"],
        ),
        (PLAIN + PLAIN.replace("def f", "def g"), ["'from_a_file'", "taken"]),
        ("x = 1\n", ["registers no rule"]),
        ("def f(:\n", ["line 4"]),
        ("import no_such_module\n", ["line 4", "no_such_module"]),
        ("raise SystemExit(3)\n", ["line 4", "SystemExit"]),
        (PLAIN + "BOOK = 3\n", ["BOOK is a int"]),
        (PLAIN + "BOOK = {'rules': {3: {}}}\n", ["entry 3: names are strings"]),
        (PLAIN + "BOOK = {3: {}}\n", ["entry 3: names are strings"]),
        ("@rule(3)\ndef f(melodies):\n    return melodies.is_onset.float()\n", ["not 3"]),
        (PLAIN + "BOOK = {'rules': {'from_a_fil': {}}}\n", ["did you mean 'from_a_file'?"]),
    ],
)
def test_a_broken_file_is_refused_in_one_line_that_says_where(code: str, parts: list[str], write) -> None:
    before = rule_names()
    message = refusal(write(code))
    for part in parts:
        assert part in message
    if "BOOK" not in code:
        assert rule_names() == before  # nothing of it is kept


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "none.py")


def test_a_rule_of_lists_is_a_rule_of_batches() -> None:
    @melody_rule("list_rule")
    def per_event(events: list[int]) -> list[float]:
        return [float(t) if event >= 2 else 0.0 for t, event in enumerate(events)]

    batch = Melodies.from_lists([[14, 1, 14], [14]])
    assert per_event(batch).tolist() == [[0, 0, 2], [0, 0, 0]]
    assert per_event(batch).dtype == torch.float32
    check_rule("list_rule")


def test_a_rule_of_lists_can_have_parameters() -> None:
    @melody_rule("list_class")
    @dataclass(frozen=True)
    class Each:
        """Pays `pay`."""

        pay: float = 1.0

        def __call__(self, events: list[int]) -> list[float]:
            return [self.pay] * len(events)

    assert make_rule("list_class", {"pay": 3})(Melodies([1, 2])).tolist() == [[3, 3]]
    check_rule("list_class", pay=2.0)
    with pytest.raises(InputError, match="unknown parameter 'pai'; did you mean 'pay'"):
        make_rule("list_class", {"pai": 1})


def test_a_rule_takes_its_own_name_where_none_is_given() -> None:
    @rule
    def nameless_rule(melodies: Melodies) -> torch.Tensor:
        return melodies.is_onset.float()

    assert find("nameless_rule").definition is nameless_rule


def test_a_rule_in_a_session_may_be_written_anew() -> None:
    for factor in (1.0, 2.0):
        exec(
            f"@rule('anew')\ndef f(melodies):\n    return melodies.is_onset.float() * {factor}\n",
            {"rule": rule},
        )
        assert make_rule("anew")(Melodies([14])).tolist() == [[factor]]


def test_the_example_file_keeps_the_contract_and_scores_as_it_says() -> None:
    book = load_rulebook(EXAMPLES / "my_rules.py")
    for name in load_file(EXAMPLES / "my_rules.py").rules:
        check_rule(name)
    c4, d4, e5 = 14, 16, 30
    scores = book.score(Melodies([c4, 1, d4, c4, e5]))
    assert scores["no_zigzag"].tolist() == [[0, 0, 0, -0.5, 0]]
    assert scores["stay_low"].tolist() == [[0, 0, 0, 0, -0.5]]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example package and a broken one, installed as pip installs them."""
    folder = tmp_path_factory.mktemp("plugins")
    source = folder / "source"
    shutil.copytree(EXAMPLES / "rltuner-blues", source)
    broken = folder / "broken"
    broken.mkdir()
    (broken / "pyproject.toml").write_text(
        '[project]\nname = "rltuner-broken"\nversion = "0.1"\n[tool.setuptools]\npy-modules = ["broken_rules"]\n'
        '[project.entry-points."rltuner.rules"]\nbroken = "broken_rules"\n'
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
    )
    (broken / "broken_rules.py").write_text(HEAD + PLAIN.replace("from_a_file", "half") + "1 / 0\n")
    target = folder / "site"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--target",
    ]
    subprocess.run([*command, target, source, broken], check=True, capture_output=True)
    return target


def command_line(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "200"}
    command = [sys.executable, "-m", "rltuner", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.long
def test_an_installed_package_brings_rules_and_a_broken_one_hides_none(installed: Path) -> None:
    listed = command_line(installed, "rules", "list")
    assert listed.returncode == 0
    lines = listed.stdout.splitlines()
    assert any("blue_fifth" in line and "rltuner-blues 1.0" in line for line in lines)
    assert any(line.split()[:1] == ["leap_recovery"] for line in lines)
    assert not any("half" in line.split()[:1] for line in lines)
    assert "plugin rltuner-broken 0.1 cannot be loaded: division by zero" in listed.stderr


@pytest.mark.long
def test_a_book_can_name_the_rules_of_an_installed_package(installed: Path) -> None:
    shown = command_line(installed, "rules", "check", str(EXAMPLES / "rltuner-blues" / "blues.toml"))
    assert shown.returncode == 0, shown.stderr
    assert "15 rules keep the contract" in shown.stdout
    without = command_line(Path(), "rules", "check", str(EXAMPLES / "rltuner-blues" / "blues.toml"))
    assert without.returncode == 2
    assert "unknown rule 'blues_scale'" in without.stderr


def test_the_blues_resolves_its_flat_fifth(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(installed))
    load_installed.cache_clear()
    try:
        for name in ("blues_scale", "blue_fifth", "breath"):
            check_rule(name)
        c4, d4, f4, f_sharp4, g4 = 14, 16, 19, 20, 21
        assert make_rule("blue_fifth")(Melodies([f_sharp4, g4, f_sharp4, f_sharp4, c4])).tolist() == [
            [0, 1, 0, 0, -1]
        ]
        assert make_rule("blues_scale")(Melodies([c4, d4, f4])).tolist() == [[0, -1, 0]]
        record = load_rulebook(EXAMPLES / "rltuner-blues" / "blues.toml").record
        assert record["origins"] == dict.fromkeys(
            ["blues_scale", "blue_fifth", "breath"], "rltuner-blues 1.0"
        )
        with pytest.raises(
            InputError, match=r"unknown rule 'half'.*rltuner-broken 0.1 is broken \(division by zero\)"
        ):
            make_rule("half")
    finally:
        load_installed.cache_clear()


def test_scoring_random_tunes_with_every_shipped_book_gives_finite_totals() -> None:
    batch = Melodies.from_lists(random_tunes(90, seed=11))
    for name in ("magenta", "gauldin"):
        assert torch.isfinite(load_rulebook(name).score(batch)["total"]).all()
