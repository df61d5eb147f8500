"""report.html in a browser: nothing of a table is hidden, on the screen or on paper."""

import shutil

import pytest
from playwright.sync_api import sync_playwright

from rltuner.eval.counts import Estimate
from rltuner.eval.report import page
from rltuner.eval.rows import all_rows

pytestmark = pytest.mark.long  # a browser takes its time


@pytest.mark.parametrize("media", ["screen", "print"])
def test_a_long_table_is_shown_whole(media: str) -> None:
    executable = shutil.which("chromium")
    assert executable, "this test needs Chromium: apt-get install chromium"
    rows = all_rows(None, 0.8)
    columns = {name: {row.name: Estimate(0.5, 0.4, 0.6) for row in rows} for name in ("note_rnn", "psi")}
    text = page.PAGE.replace("BODY", page.rows_table(columns, rows))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": 800, "height": 600})
        shown.set_content(text)
        shown.emulate_media(media=media)  # type: ignore[arg-type]
        table, seen = (
            shown.evaluate(f"document.querySelector('{name}').getBoundingClientRect().height")
            for name in ("table", ".wide")
        )
        wide = shown.evaluate("[document.querySelector('.wide').scrollHeight, document.body.scrollWidth]")
        browser.close()
    assert table > 700  # more than the window
    assert seen >= table
    assert wide[0] <= seen + 1
    assert media == "screen" or wide[1] <= 800
