"""The page in a real browser (Debian's Chromium, headless): pads, policy, tempo, files, sound against the grid."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pretty_midi
import pytest
import torch
from few_bars import few_bars
from playwright.sync_api import Browser, expect, sync_playwright

from rltuner.launchpad.learning.networks import QNetwork
from rltuner.launchpad.learning.policies import save_policy
from rltuner.launchpad.rewards.rewards import Reward

pytestmark = pytest.mark.long  # a browser takes its time

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 375, "height": 700}


@contextmanager
def playing(policy: Path | str, *options: str) -> Iterator[str]:
    """Where the command serves the page."""
    command = [sys.executable, "-m", "rltuner", "launchpad", "play", "--policy", str(policy)]
    command += ["--port", "0", "--no-browser", *options]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert server.stdout is not None
    found = re.search(r"http://\S+", server.stdout.readline())
    assert found
    yield found[0]
    server.terminate()
    assert server.wait(20) == -signal.SIGTERM


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that has learned nothing: it presses all the same."""
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("policy") / "tiny"
    bars = few_bars()
    save_policy(folder, QNetwork(bars.board, "linear"), Reward(bars, "f1"))
    return folder


@pytest.fixture
def address(policy: Path) -> Iterator[str]:
    with playing(policy) as found:
        yield found


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    executable = shutil.which("chromium")
    assert executable, "this test needs Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        browser = playwright.chromium.launch(executable_path=executable, args=arguments)
        yield browser
        browser.close()


def test_a_person_and_the_policy_compose_and_the_midi_file_is_the_exact_grid(
    address: str, chromium: Browser, tmp_path: Path
) -> None:
    context = chromium.new_context(viewport=DESK, accept_downloads=True)  # type: ignore[arg-type]
    page = context.new_page()
    complaints: list[str] = []
    for happening in ("console", "pageerror"):
        page.on(happening, lambda message: complaints.append(str(message)))  # type: ignore[call-overload]
    page.on("request", lambda request: complaints.append(request.url) if address not in request.url else None)
    page.goto(address)
    page.get_by_role("button", name=re.compile("^C4 every 16")).click()
    expect(page.get_by_role("button", name=re.compile("^C4 every 16"))).to_have_attribute(
        "aria-pressed", "true"
    )
    page.get_by_role("slider", name="C4: steps later").evaluate(
        "e => { e.value = 5; e.dispatchEvent(new Event('change')); }"
    )
    page.locator("#qpm").evaluate("e => { e.value = 240; e.dispatchEvent(new Event('change')); }")
    expect(page.locator("#qpm-shown")).to_have_text("240")
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.locator(".pad.policy").first).to_be_visible(timeout=8000)  # it presses, one a bar
    expect(page.locator("#bar")).to_contain_text("Bar 4", timeout=10000)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    page.get_by_text("Files and MIDI").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Save what was played").click()
    download.value.save_as(tmp_path / "song.mid")
    with page.expect_download() as download:
        page.get_by_role("link", name="Save this bar").click()
    download.value.save_as(tmp_path / "bar.mid")

    midi = pretty_midi.PrettyMIDI(str(tmp_path / "song.mid"))
    assert midi.get_tempo_changes()[1] == pytest.approx([240])
    per_step = midi.resolution * 4 / 64
    ticks = [
        midi.time_to_tick(time) / per_step for n in midi.instruments[0].notes for time in (n.start, n.end)
    ]
    assert ticks == [round(tick) for tick in ticks]
    bars = round(max(ticks)) // 64 + 1
    assert bars >= 4
    onsets = {
        round(midi.time_to_tick(n.start) / per_step) for n in midi.instruments[0].notes if n.pitch == 60
    }
    assert {5 + 8, 5 + 24, 5 + 40, 5 + 56} <= onsets  # every 16 steps, half of it in, 5 later: the first bar

    # What was saved is loaded as it was.
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".pad.you, .pad.policy")).to_have_count(0)
    page.locator("#load").set_input_files(tmp_path / "bar.mid")
    expect(page.locator(".pad.you").first).to_be_visible()
    assert complaints == []
    context.close()


def test_everything_is_done_by_keyboard_and_two_pages_see_one_board(address: str, chromium: Browser) -> None:
    one = chromium.new_page()
    two = chromium.new_page()
    for page in (one, two):
        page.goto(address)
        expect(page.locator(".pad")).to_have_count(168)
    one.locator(".pad[tabindex='0']").focus()
    label = str(one.evaluate("document.activeElement.getAttribute('aria-label')"))
    one.keyboard.press("ArrowUp")
    one.keyboard.press("ArrowRight")
    moved = str(one.evaluate("document.activeElement.getAttribute('aria-label')"))
    assert moved.split()[0] != label.split()[0]
    one.keyboard.press("Space")
    on = two.locator(".pad[aria-pressed='true']")
    expect(on).to_have_count(1)
    expect(on).to_have_attribute(
        "aria-label", re.compile(f"^{re.escape(moved.split(';')[0])}, pressed by you")
    )
    one.keyboard.press("]")
    expect(two.get_by_role("slider", name=f"{moved.split()[0]}: steps later")).to_have_value("4")
    one.keyboard.press("l")
    expect(two.get_by_role("button", name=f"{moved.split()[0]}, locked against the policy")).to_be_visible()
    one.keyboard.press("p")
    expect(two.get_by_role("button", name="Policy plays")).to_have_attribute("aria-pressed", "false")
    one.keyboard.press("u")
    one.keyboard.press("u")
    expect(on).to_have_count(0)
    one.close()
    two.close()


def test_a_phone_shows_it_all_and_pads_are_large_enough_for_fingers(address: str, chromium: Browser) -> None:
    for scheme in ("light", "dark"):
        context = chromium.new_context(
            viewport=PHONE,  # type: ignore[arg-type]
            is_mobile=True,
            has_touch=True,
            color_scheme=scheme,  # type: ignore[arg-type]
        )
        page = context.new_page()
        page.goto(address)
        page.locator(".pad").first.tap()
        expect(page.locator(".pad.you")).to_have_count(1)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        box = page.locator(".pad").first.bounding_box()
        assert box
        assert box["height"] >= 36
        assert box["width"] >= 28
        page.get_by_role("button", name="Clear").tap()
        context.close()


def test_the_music_goes_on_when_the_socket_dies_and_the_page_joins_again(
    policy: Path, chromium: Browser
) -> None:
    context = chromium.new_context(viewport=DESK)  # type: ignore[arg-type]
    page = context.new_page()
    page.add_init_script(
        "const Real = WebSocket; window.sockets = [];"
        "window.WebSocket = class extends Real { constructor(...a) { super(...a); window.sockets.push(this); } };"
        "const start = AudioBufferSourceNode.prototype.start; window.struck = [];"
        "AudioBufferSourceNode.prototype.start = function (t) {"
        " window.struck.push(t); return start.call(this, t); };"
    )
    with playing(policy, "--qpm", "240") as address:
        page.goto(address)
        page.get_by_role("button", name="Policy plays").click()
        page.get_by_role("button", name=re.compile("^C4 every 16")).click()
        page.get_by_role("button", name="Play", exact=True).click()
        expect(page.locator("#bar")).to_contain_text("Bar 2", timeout=8000)
        page.evaluate("window.sockets.forEach(s => s.close())")
        expect(page.locator("#bar")).to_contain_text("Bar", timeout=8000)
        page.wait_for_timeout(2500)
        struck = sorted(set(page.evaluate("window.struck")))
        steps = np.diff(struck)
        assert len(struck) >= 12
        assert steps.max() < 0.3  # a quarter of a second apart, none left out
        assert page.evaluate("window.sockets.length") >= 2
    context.close()


RENDER = """async ({lowest, notes, bars, steps, seconds}) => {
  const rate = 48000;
  const context = new OfflineAudioContext(1, rate * (0.1 + bars.length * seconds + 0.5), rate);
  const synth = new LaunchpadSound.Synth(context, lowest, notes);
  bars.forEach((words, i) => synth.bar(words, steps, 0.1 + i * seconds, seconds));
  const data = (await context.startRendering()).getChannelData(0);
  return {data: Array.from(data), rate};
}"""


def test_sound_begins_where_the_grid_has_it_and_bar_lines_do_not_click(
    address: str, chromium: Browser
) -> None:
    """Onsets of the rendered audio against the grid: at most 2 ms; between notes nothing jumps."""
    page = chromium.new_page()
    page.goto(address)
    bars = [["0"] * 24 for _ in range(3)]
    for bar, steps in zip(bars, ((0, 17, 40), (5, 32, 63), (10, 50)), strict=True):
        bar[13] = f"{sum(1 << step for step in steps):x}"
    seconds = 2.4
    found = page.evaluate(RENDER, {"lowest": 47, "notes": 24, "bars": bars, "steps": 64, "seconds": seconds})
    data, rate = np.array(found["data"]), found["rate"]
    pattern = ((0, 17, 40), (5, 32, 63), (10, 50))
    expected = [0.1 + (bar + step / 64) * seconds for bar, steps in enumerate(pattern) for step in steps]
    for moment in expected:
        place = round(moment * rate)
        before = np.abs(data[place - 480 : place - 5]).max()
        after = data[place : place + 960]
        crossed = np.flatnonzero(np.abs(after) > max(1.5 * before, 0.01))
        assert len(crossed), moment
        assert crossed[0] / rate <= 0.002, moment
    # A held note that goes over a bar line: no jump there, none anywhere but by its own wave.
    held = [["0"] * 24 for _ in range(2)]
    for bar in held:
        bar[13] = f"{2**64 - 1:x}"
    found = page.evaluate(RENDER, {"lowest": 47, "notes": 24, "bars": held, "steps": 64, "seconds": 0.6})
    data = np.array(found["data"])
    line = round((0.1 + 0.6) * rate)
    near, usual = (
        np.abs(np.diff(data[line - 50 : line + 50])).max(),
        np.abs(np.diff(data[line - 5000 : line])).max(),
    )
    assert near <= usual * 1.05
    page.close()


def test_a_browser_without_web_midi_says_so(address: str, chromium: Browser) -> None:
    page = chromium.new_page()
    page.add_init_script("delete Navigator.prototype.requestMIDIAccess")
    page.goto(address)
    page.get_by_text("Files and MIDI").click()
    expect(page.locator("#midi-said")).to_have_text("This browser has no Web MIDI; the page plays by itself.")
    page.close()


def test_web_midi_sends_bars_with_time_stamps_and_a_clock(address: str, chromium: Browser) -> None:
    page = chromium.new_page()
    page.add_init_script(
        "window.sent = []; const port = {id: 'p', name: 'Synth', send: (d, t) => window.sent.push([[...d], t])};"
        "navigator.requestMIDIAccess = async () =>"
        " ({outputs: new Map([['p', port]]), inputs: new Map(), onstatechange: null});"
    )
    page.goto(address)
    page.get_by_role("button", name="Policy plays").click()
    page.locator("#qpm").evaluate("e => { e.value = 240; e.dispatchEvent(new Event('change')); }")
    page.get_by_role("button", name=re.compile("^C4 every 32")).click()
    page.get_by_text("Files and MIDI").click()
    page.locator("#midi-out").select_option(label="Synth")
    page.get_by_label("send clock, start and stop").check()
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.locator("#bar")).to_contain_text("Bar 3", timeout=8000)
    page.get_by_role("button", name="Stop").click()
    page.wait_for_timeout(300)
    sent = page.evaluate("window.sent")
    kinds = [message[0] for message, _ in sent]
    assert kinds[0] == 0xFA
    assert 0xFC in kinds
    clocks = [moment for message, moment in sent if message[0] == 0xF8]
    assert np.diff(clocks) == pytest.approx(1000 / 96, abs=1.0)  # 24 a quarter at 240
    onsets = [moment for message, moment in sent if message[0] == 0x90]
    assert np.diff(onsets) == pytest.approx(500, abs=1.0)
    page.close()
