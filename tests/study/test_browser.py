"""A listener in a real browser (Debian's Chromium, headless), against a real server, with real sound."""

from __future__ import annotations

import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from small_study import make_study, small_plan

from rltuner.study.folder import ANSWERS, Study, read_study
from rltuner.study.plan import Question
from rltuner.study.stimuli import new_study

pytestmark = pytest.mark.long  # a browser takes its time

PHONE = {"width": 375, "height": 667}


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study of clips of 0.5 s that the synthesiser made."""
    folder = tmp_path_factory.mktemp("heard") / "pilot"
    plan = small_plan(pairs=2, items=1, seconds=0.5, qpm=480.0)
    new_study(folder, plan.design.sources, plan, 16)
    return read_study(folder)


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[str]:
    """Where the command serves a study."""
    command = [sys.executable, "-m", "rltuner", "study", "serve", str(folder), "--port", "0", *options]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert server.stdout is not None
    found = re.search(r"http://\S+", server.stdout.readline())
    assert found
    yield found[0]
    server.terminate()
    assert server.wait(20) == -signal.SIGTERM


@pytest.fixture(scope="module")
def address(heard: Study) -> Iterator[str]:
    with serving(heard.folder) as found:
        yield found


@pytest.fixture(scope="module")
def two_questions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a study that asks two questions of a pair is served."""
    questions = (Question("nicer", "Which is nicer?"), Question("odder", "Which is odder?"))
    plan = replace(small_plan(pairs=1, items=1, catch=1), questions=questions, listener_questions=())
    study = make_study(tmp_path_factory.mktemp("two") / "pilot", plan)
    with serving(study.folder, "--preview") as found:
        yield found


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    executable = shutil.which("chromium")
    assert executable, "this test needs Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


def listen(page: Page, *letters: str) -> None:
    """Plays clips by their keys, each to its end."""
    for letter in letters:
        plays = page.locator(f"input[name=plays_{letter}]")
        wanted = int(plays.input_value()) + 1
        page.keyboard.press(letter)
        expect(plays).to_have_value(str(wanted))


def test_a_listener_goes_from_consent_to_debrief_on_a_phone_by_keyboard(
    heard: Study, address: str, chromium: Browser
) -> None:
    context = chromium.new_context(viewport=PHONE, is_mobile=True, has_touch=True)  # type: ignore[arg-type]
    page = context.new_page()
    complaints: list[str] = []
    for happening in ("console", "pageerror"):
        page.on(happening, lambda message: complaints.append(str(message)))  # type: ignore[call-overload]
    page.on("request", lambda request: complaints.append(request.url) if address not in request.url else None)

    page.goto(f"{address}?id=WORKER-7")
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_role("heading", name="Taking part")).to_be_visible()  # not without consent
    page.get_by_role("checkbox").press("Space")
    page.keyboard.press("Enter")

    expect(page.get_by_role("button", name="I can hear it well")).to_be_disabled()
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="I can hear it well").click()

    for question in heard.plan.listener_questions:
        page.get_by_role("group", name=question.text).get_by_label(question.choices[1]).check()
    page.get_by_role("button", name="Continue").click()

    # The first pair: no answer before both are heard; one of them is played again.
    expect(page).to_have_title(re.compile("Pair 1 of 4"))
    scale = page.get_by_role("group", name="Which melody is more musically pleasing?")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.keyboard.press("1")
    listen(page, "a")
    expect(page.get_by_role("status")).to_have_text("Heard A. Now play B.")
    expect(scale.get_by_label("A, clearly")).to_be_disabled()
    expect(scale.get_by_role("radio", checked=True)).to_have_count(0)
    listen(page, "b", "a")
    page.keyboard.press("2")
    page.keyboard.press("5")
    expect(scale.get_by_label("B, clearly")).to_be_checked()
    assert min(box["height"] for box in boxes(page)) >= 44  # fingers
    page.keyboard.press("Enter")

    # The second: a reload in the middle, and the tab closed and opened again.
    expect(page).to_have_title(re.compile("Pair 2 of 4"))
    listen(page, "a")
    page.reload()
    expect(page).to_have_title(re.compile("Pair 2 of 4"))
    expect(page.locator("#heard-a")).to_have_text("Heard")
    page.close()
    page = context.new_page()
    page.goto(address)
    expect(page).to_have_title(re.compile("Pair 2 of 4"))
    answers = [5]
    for value in (1, 3, 4):
        listen(page, "b", "a")
        page.keyboard.press(str(value))
        page.keyboard.press("Enter")
        answers.append(value)
        expect(page).not_to_have_title(re.compile(f"Pair {len(answers)} of"))
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    context.close()
    assert complaints == []

    with sqlite3.connect(heard.folder / ANSWERS) as database:
        rows = database.execute("SELECT answers, plays_a, plays_b FROM answers ORDER BY position").fetchall()
        sessions = database.execute("SELECT stage, about, recruiting_hash FROM sessions").fetchall()
    assert [json.loads(given)["pleasing"] for given, _, _ in rows] == answers
    assert [plays for _, *plays in rows] == [[2, 1], [1, 1], [1, 1], [1, 1]]
    assert len(sessions) == 1
    stage, about, recruiting = sessions[0]
    assert stage == "done"
    assert json.loads(about) == {
        question.id: question.choices[1] for question in heard.plan.listener_questions
    }
    assert recruiting


@pytest.mark.parametrize("size", [PHONE, {"width": 1280, "height": 800}])
def test_two_questions_stand_apart_and_the_keys_answer_one_after_the_other(
    size: dict[str, int], two_questions: str, chromium: Browser
) -> None:
    context = chromium.new_context(viewport=size)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(two_questions)
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Begin").click()
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="I can hear it well").click()
    first, second = (page.get_by_role("group", name=name) for name in ("Which is nicer?", "Which is odder?"))
    end = first.locator("label").last.bounding_box()
    heading = page.locator("legend", has_text="Which is odder?").bounding_box()
    own = second.locator("label").first.bounding_box()
    assert end
    assert heading
    assert own
    before, after = heading["y"] - end["y"] - end["height"], own["y"] - heading["y"] - heading["height"]
    assert before >= 24
    assert before > after  # a heading is nearer to its own answers than to those above
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert "answer the first question, then the next" in page.locator(".keys").inner_text()
    listen(page, "a", "b")
    for key in "24":
        page.keyboard.press(key)
    expect(first.get_by_label("A, a little")).to_be_checked()
    expect(second.get_by_label("B, a little")).to_be_checked()
    page.keyboard.press("Enter")
    expect(page).to_have_title(re.compile("Pair 2 of"))
    context.close()


def boxes(page: Page) -> list[dict[str, float]]:
    """Of everything that a finger has to hit."""
    found = [one.bounding_box() for one in page.locator("button, label.choice").all()]
    return [dict(box) for box in found if box is not None]


def test_without_javascript_the_page_says_so_and_takes_no_answer(address: str, chromium: Browser) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert "needs JavaScript" in page.content()
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_role("button", name="I can hear it well")).to_be_disabled()
    context.close()


def test_the_pages_are_legible_in_light_and_dark(address: str, chromium: Browser) -> None:
    """Contrast of text and of soft text with its background: at least 4.5 to 1 (WCAG AA)."""
    for scheme in ("light", "dark"):
        context = chromium.new_context(color_scheme=scheme)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(address)
        for selector in ("h1", ".lead", ".card p", "button.primary"):
            assert page.locator(selector).first.evaluate(CONTRAST) >= 4.5, (scheme, selector)
        context.close()


CONTRAST = """element => {
  const numbers = text => text.match(/[\\d.]+/g).map(Number);
  let ground = element;
  while (numbers(getComputedStyle(ground).backgroundColor)[3] === 0) ground = ground.parentElement;
  const light = colour => numbers(colour).slice(0, 3)
    .map(c => c / 255).map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const pair = [light(getComputedStyle(element).color), light(getComputedStyle(ground).backgroundColor)];
  return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
}"""
