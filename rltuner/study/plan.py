"""What study.toml says: the design, the questions, the rule for exclusions and every text that a listener reads.

A plan is frozen dataclasses, whose values are checked when it is made; `plan_file` reads and writes them.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rltuner.checks import check
from rltuner.errors import InputError

POINTS = 5  # of the scale; 3 is no preference
IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,30}")
# Columns of the export and fields of the forms, which no question may take the place of.
ANSWER_COLUMNS = ("simulated", "listener", "included", "position", "kind", "source_a", "source_b", "clip_a", "clip_b",
                  "plays_a", "plays_b", "seconds")  # fmt: skip
LISTENER_COLUMNS = ("simulated", "listener", "status", "consented", "finished", "answered", "missed_identical",
                    "missed_random")  # fmt: skip
RESERVED = {"trial", "agree", "id", *ANSWER_COLUMNS, *LISTENER_COLUMNS}
MAY_BE_EMPTY = ("contact", "completion_code")  # of the texts: then nothing of the kind is shown
MOST_QUESTIONS = 40  # of either kind: the server takes forms of 64 fields and 16 kB


@dataclass(frozen=True)
class Design:
    """Who is compared with whom, how often, and what every clip has in common."""

    sources: tuple[str, ...] = ("note_rnn", "tune", "human")
    """Names of the sources, as the results call them. What they are made from is settled by `study new`."""
    pairs: int = 24
    """Trials a listener, besides catch trials."""
    items: int = 8
    """Clip pairs for each pair of sources; a listener hears some of them."""
    catch: int = 2
    """Catch trials of each kind: an identical pair, and a human tune against random notes."""
    seconds: float = 19.2
    """Duration of every clip."""
    qpm: float = 100.0
    """Tempo of every clip in quarter notes a minute."""
    seed: int = 0
    """Of the order and the sides."""
    shared_device: bool = False
    """The last page offers to begin again, for several listeners on one computer."""


@dataclass(frozen=True)
class Exclusions:
    """Which listeners do not count. Fixed before the first answer; every analysis states it first."""

    allowed_misses: int = 1
    """A listener who misses more catch trials than this is excluded."""
    identical_tolerance: int = 1
    """An identical pair is missed by an answer further than this from the middle of the scale."""
    least_share: float = 1.0
    """Share of the trials that a listener must have answered."""
    one_per_id: bool = True
    """Of several complete sessions with one recruiting id only the first counts."""
    catch_question: str = ""
    """Id of the question whose answer decides whether a catch trial is missed; empty: the first."""


@dataclass(frozen=True)
class Question:
    """A question that is asked of every pair. Its answers run from the first clip to the second."""

    id: str
    """Its name in the export: lower-case letters, digits and _."""
    text: str
    answers: tuple[str, ...] = (
        "A, clearly",
        "A, a little",
        "No difference",
        "B, a little",
        "B, clearly",
    )
    """Five labels; the third says no preference."""


@dataclass(frozen=True)
class ListenerQuestion:
    """A question about the listener, asked once. The choices are all that can be answered."""

    id: str
    text: str
    choices: tuple[str, ...]


@dataclass(frozen=True)
class Texts:
    """What listeners read. An empty line begins a new paragraph."""

    title: str = "Listening to melodies"
    welcome: str = (
        "You will hear short melodies in pairs and say which of the two you like better.\n\n"
        "There are no right answers. Please take part in a quiet place, with headphones if you have them."
    )
    consent: str = (
        "Taking part is voluntary and you can stop at any time by closing this page. We store your answers, when you "
        "gave them and how often you played each melody. We store no name and no address; an id that a recruiting "
        "site passed on is stored only as a code that cannot be turned back.\n\n"
        "If you close the page and come back in the same browser, you go on where you stopped."
    )
    agree: str = "I am at least 18 years old, I have read this, and I want to take part."
    contact: str = ""
    """Whom to ask, shown below the consent and at the end."""
    sound: str = "Play the sample and set your volume so that it is comfortable. Then leave it as it is."
    debrief: str = (
        "All your answers are stored. Thank you!\n\n"
        "Some of the melodies were composed by computer programs that learned from folk tunes, others may be folk "
        "tunes themselves. We want to know which programs compose melodies that people like. A few pairs were there "
        "to see whether the sound works: they held the same melody twice, or one made of random notes."
    )
    completion_code: str = ""
    """Shown at the end, for a recruiting site that asks for one."""


_AGES = ("18 to 24", "25 to 34", "35 to 44", "45 to 54", "55 to 64", "65 or older", "I prefer not to say")
_EXPERIENCE = ("None", "Less than 2 years", "2 to 5 years", "6 to 10 years", "More than 10 years")
_DEVICE = ("Headphones", "Loudspeakers", "Built into the phone or computer")


@dataclass(frozen=True)
class Plan:
    """A whole study.toml."""

    design: Design = field(default_factory=Design)
    exclusions: Exclusions = field(default_factory=Exclusions)
    texts: Texts = field(default_factory=Texts)
    questions: tuple[Question, ...] = (Question("pleasing", "Which melody is more musically pleasing?"),)
    listener_questions: tuple[ListenerQuestion, ...] = (
        ListenerQuestion("age", "How old are you?", _AGES),
        ListenerQuestion(
            "experience", "How long have you played an instrument or sung, in all?", _EXPERIENCE
        ),
        ListenerQuestion("device", "What do you listen with?", _DEVICE),
    )

    def __post_init__(self) -> None:
        design, rule = self.design, self.exclusions
        if len(design.sources) < 2 or len(set(design.sources)) < len(design.sources):
            raise InputError(f"design.sources = {list(design.sources)}: name at least two, each once")
        for where, text in _must_be_said(self):
            if not text.strip():
                raise InputError(f"{where} is empty; write what listeners shall read")
        check("design", "pairs", design.pairs, 1, 1000)
        check("design", "items", design.items, 1, 1000)
        check("design", "catch", design.catch, 0, 20)
        check("design", "seconds", design.seconds, 0.1, 120)
        check("design", "qpm", design.qpm, 4, 1000)
        needed = -(-design.pairs // len(self.contrasts))
        if design.items < needed:
            raise InputError(
                f"items = {design.items}: with {design.pairs} pairs a listener hears {needed} clip pairs of each pair "
                f"of sources; give at least {needed}"
            )
        check("exclusions", "allowed_misses", rule.allowed_misses, 0)
        check("exclusions", "identical_tolerance", rule.identical_tolerance, 0, 2)
        check("exclusions", "least_share", rule.least_share, 0, 1)
        if not self.questions:
            raise InputError("questions: ask at least one")
        _check_ids([*self.questions, *self.listener_questions])
        ids = [question.id for question in self.questions]
        if rule.catch_question not in ("", *ids):
            raise InputError(
                f"exclusions.catch_question = {rule.catch_question!r}: no question has this id; the ids are "
                f"{', '.join(ids)}"
            )
        for kind, asked_of in (
            ("questions", self.questions),
            ("listener_questions", self.listener_questions),
        ):
            if len(asked_of) > MOST_QUESTIONS:
                raise InputError(f"{kind}: {len(asked_of)} of them; a page takes at most {MOST_QUESTIONS}")
        for question in self.questions:
            if len(question.answers) != POINTS or len(set(question.answers)) < POINTS:
                raise InputError(
                    f"question {question.id}: {len(question.answers)} answers; give {POINTS} labels, all different"
                )
        for asked in self.listener_questions:
            if len(asked.choices) < 2 or len(set(asked.choices)) < len(asked.choices):
                raise InputError(f"listener question {asked.id}: give at least two choices, all different")

    @property
    def contrasts(self) -> tuple[tuple[str, str], ...]:
        """Every pair of sources once, in the order of `sources`."""
        names = self.design.sources
        return tuple((a, b) for i, a in enumerate(names) for b in names[i + 1 :])

    @property
    def catch_question(self) -> Question:
        """The question whose answer decides whether a catch trial is missed."""
        wanted = self.exclusions.catch_question or self.questions[0].id
        return next(question for question in self.questions if question.id == wanted)

    @property
    def trials(self) -> int:
        """Trials a listener, catch trials included."""
        return self.design.pairs + 2 * self.design.catch


def _check_ids(questions: Sequence[Question | ListenerQuestion]) -> None:
    """InputError for an id that cannot name a column of the export, or names two."""
    names = [question.id for question in questions]
    for name in names:
        if not IDENTIFIER.fullmatch(name):
            raise InputError(
                f"question id {name!r}: an id begins with a lower-case letter and has at most 31 lower-case letters, "
                "digits and _"
            )
        if name in RESERVED:
            raise InputError(
                f"question id {name!r}: the forms or the export have a field of this name; choose another, such as "
                f"my_{name}"
            )
        if names.count(name) > 1:
            raise InputError(
                f"question id {name!r}: {names.count(name)} questions have it; give each its own"
            )


def _must_be_said(plan: Plan) -> Iterator[tuple[str, str]]:
    """(field, text) of every text without which a page, or an answer on it, would say nothing."""
    yield from ((f"design.sources[{i}]", name) for i, name in enumerate(plan.design.sources))
    for part in dataclasses.fields(Texts):
        if part.name not in MAY_BE_EMPTY:
            yield f"texts.{part.name}", getattr(plan.texts, part.name)
    for i, question in enumerate(plan.questions):
        yield f"questions[{i}].text", question.text
        yield from ((f"questions[{i}].answers[{k}]", answer) for k, answer in enumerate(question.answers))
    for i, asked in enumerate(plan.listener_questions):
        yield f"listener_questions[{i}].text", asked.text
        yield from (
            (f"listener_questions[{i}].choices[{k}]", choice) for k, choice in enumerate(asked.choices)
        )
