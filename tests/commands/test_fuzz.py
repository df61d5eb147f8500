"""Rule books and configurations from strangers: whatever they hold, they are read, or refused in one line."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rltuner.errors import InputError
from rltuner.rules.book import RuleBook, load_rulebook
from rltuner.tuning.config import FinetuneConfig
from rltuner.tuning.stored_config import read_config, write_config

RULES = ["tonic", "key", "motif", "leap_recovery", "cadence", "repeated_motif", "nope"]
FIELDS = [field for field in FinetuneConfig.__dataclass_fields__ if field not in ("out", "config", "resume")]
ODD = [
    "nan",
    "inf",
    "-inf",
    "1e400",
    "-0.0",
    "0x7fffffffffffffff",
    "9" * 30,
    "1979-05-27",
    "[[1]]",
    "{a = 1}",
    "true",
]
values = st.one_of(
    st.integers().map(str),
    st.floats().map(lambda x: repr(x)),
    st.text(max_size=20).map(json.dumps),
    st.sampled_from(ODD),
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "stranger.toml"


def read(reader: Any, file: Path, content: bytes) -> Any:
    """What the reader makes of the content; None where it refuses, in one line that names the file."""
    file.write_bytes(content)
    try:
        return reader(file)
    except InputError as error:
        says = str(error)
    assert "\n" not in says
    assert file.name in says
    return None


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from([*FIELDS, "gama", "a.b", "[x]"]), values), max_size=6))
def test_a_configuration_is_read_or_refused(file: Path, entries: list[tuple[str, str]]) -> None:
    config = read(read_config, file, "\n".join(f"{name} = {value}" for name, value in entries).encode())
    if config is not None:
        file.write_text(write_config(config))
        assert read_config(file) == config


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(st.sampled_from(["key", "meter", "extends", "description", "rules", "x"]), values),
        max_size=3,
    ),
    st.lists(
        st.tuples(
            st.sampled_from(RULES),
            st.sampled_from(["weight", "reward", "key", "penalty", "length", "x"]),
            values,
        ),
        max_size=4,
    ),
)
def test_a_rule_book_is_read_or_refused(
    file: Path, heads: list[tuple[str, str]], rules: list[tuple[str, str, str]]
) -> None:
    lines = [f"{name} = {value}" for name, value in heads]
    lines += [f"[rules.{rule}]\n{name} = {value}" for rule, name, value in rules]
    book = read(load_rulebook, file, "\n".join(lines).encode())
    assert book is None or isinstance(book, RuleBook)


@settings(max_examples=100)
@given(
    st.binary(max_size=200)
    | st.sampled_from([b"a = " + b"[" * 5_000, b"[a" + b".a" * 5_000 + b"]", b"\xff\xfe"])
)
def test_bytes_are_read_or_refused(file: Path, content: bytes) -> None:
    read(load_rulebook, file, content)
    read(read_config, file, content)
