"""What a rule book makes of one melody: event by event, and which rule gave what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from json import dumps
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from rltuner.console import output_console, say
from rltuner.errors import InputError
from rltuner.melody import NO_EVENT, NOTE_OFF, NUM_SPECIAL_EVENTS, Melodies, Meter
from rltuner.melody.key import Key
from rltuner.reading.songs import Song, krumhansl_key, read_song
from rltuner.rules.book import RuleBook, load_rulebook
from rltuner.storing.atomic import write_atomically

NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")


def run_explain(
    file: Path,
    rules: str = "gauldin",
    key: str | None = None,
    png: Path | None = None,
    json: Path | None = None,
    track: str = "",
) -> None:
    """`rltuner rules explain`: prints the melody event by event, and writes the picture and the JSON where asked.

    Raises InputError for a melody, book, key or file name that cannot be used.
    """
    for target in (png, json):
        if target is not None and (target.is_dir() or not target.absolute().parent.is_dir()):
            raise InputError(f"{target}: not a file name in a folder that exists")
    if png is not None and png.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise InputError(f"{png}: --png writes .png, .svg or .pdf")
    song = read_song(file, track=track)
    book = load_rulebook(rules, key=key)
    explained = explain(song.melody, book, song.pickup)
    remarks = list(song.remarks)
    if book.meter is not None and book.meter != song.melody.meter:
        remarks.append(f"in {song.melody.meter}; the {book.name} book counts its bars in {book.meter}")
    own, how = _own_key(song)
    if key is None and _is_other(own, book.key):
        remarks.append(
            f'the melody is in {own} ({how}) and is judged in {book.key}; in its own key: --key "{own}"'
        )
    for remark in remarks:
        say(f"{file}: {remark}")
    explained["remarks"] = remarks
    title = f"{song.title}, judged by the {book.name} book in {book.key}, {explained['meter']}"
    output_console.print(title, markup=False)
    for table in tables(explained):
        output_console.print(table)
    if json is not None:
        text = dumps(explained, indent=2, ensure_ascii=False) + "\n"
        write_atomically(json, text.encode())
        say(f"events and rewards: {json}")
    if png is not None:
        plot(song.melody, explained, png, title)
        say(f"picture: {png}")


def _own_key(song: Song) -> tuple[str, str]:
    """The key that the file names; where it names none that is known, Krumhansl's estimate."""
    try:
        return str(Key.parse(song.key)), "its file says"
    except InputError:
        return krumhansl_key(song.melody), "Krumhansl's estimate"


def _is_other(one: str, other: str) -> bool:
    first, second = Key.parse(one), Key.parse(other)
    return (first.tonic, first.pitch_classes) != (second.tonic, second.pitch_classes)


def event_name(event: int, melody: Melodies) -> str:
    """ "C4" for an onset (middle C is C4), "hold", "rest"."""
    if event in (NOTE_OFF, NO_EVENT):
        return "rest" if event == NOTE_OFF else "hold"
    pitch = event - NUM_SPECIAL_EVENTS + melody.vocabulary.min_pitch
    return f"{NAMES[pitch % 12]}{pitch // 12 - 1}"


def explain(melody: Melodies, book: RuleBook, pickup: Sequence[int] = ()) -> dict[str, Any]:
    """Rewards of a batch of one, as plain values: what `--json` writes, but for the "remarks" of its reader.

    "events" lists every event with its place ("bar", "beat" and "step" of the beat, from 1), its name, class, MIDI pitch
    (null for holds and rests), total reward and the rewards of the rules that gave any; "rules" has each rule's sum, and
    "total" the sum of all. "pickup" lists the events before the first bar line in the same way, in bar 0: no rule judges
    them.
    """
    scores = book.score(melody)
    meter = book.meter if book.meter is not None else melody.meter
    total = scores.pop("total")[0].tolist()
    rewards = {name: values[0].tolist() for name, values in scores.items()}
    events = [
        _entry(event, t, melody, meter)
        | {
            "reward": round(total[t], 6),
            "rules": {name: round(values[t], 6) for name, values in rewards.items() if values[t]},
        }
        for t, event in enumerate(melody.events[0].tolist())
    ]
    before = [
        _entry(event, t, melody, meter) | {"reward": 0.0, "rules": {}}
        for t, event in enumerate(pickup, -len(pickup))
    ]
    return {
        "book": book.name,
        "key": book.key,
        "meter": str(meter),
        "pickup": before,
        "events": events,
        "rules": {name: round(sum(values), 6) for name, values in rewards.items()},
        "total": round(sum(total), 6),
    }


def _entry(event: int, t: int, melody: Melodies, meter: Meter) -> dict[str, Any]:
    """What is known of an event without rules; `t` counts from the first bar line, and is negative before it."""
    in_bar = t % meter.steps_per_bar
    pitch = event - NUM_SPECIAL_EVENTS + melody.vocabulary.min_pitch if event >= NUM_SPECIAL_EVENTS else None
    return {
        "bar": t // meter.steps_per_bar + 1,
        "beat": in_bar // meter.steps_per_beat + 1,
        "step": in_bar % meter.steps_per_beat + 1,
        "event": event_name(event, melody),
        "class": event,
        "pitch": pitch,
    }


def tables(explained: dict[str, Any]) -> Iterator[Table]:
    """For the terminal: the events (but for holds that earned nothing), then the rules' sums."""
    events = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    events.add_column("bar:beat:step", no_wrap=True)
    events.add_column("event", no_wrap=True)
    events.add_column("reward", justify="right", no_wrap=True)
    events.add_column("because")
    for entry in [*explained["pickup"], *explained["events"]]:
        if entry["class"] == NO_EVENT and not entry["rules"]:
            continue
        place = f"{entry['bar']}:{entry['beat']}:{entry['step']}"
        because = Text(", ").join(
            Text(f"{name} {value:+.3g}", style="red" if value < 0 else "green")
            for name, value in sorted(entry["rules"].items(), key=lambda item: -abs(item[1]))
        )
        reward = f"{entry['reward']:+.2f}" if entry["rules"] else ""
        events.add_row(place, entry["event"], reward, because)
    yield events
    sums = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    sums.add_column("rule")
    sums.add_column("sum", justify="right")
    sums.add_column("events", justify="right")
    for name, value in explained["rules"].items():
        count = sum(name in entry["rules"] for entry in explained["events"])
        sums.add_row(name, f"{value:+.2f}", str(count))
    sums.add_section()
    sums.add_row("total", f"{explained['total']:+.2f}", str(len(explained["events"])))
    yield sums


def plot(melody: Melodies, explained: dict[str, Any], file: Path, title: str) -> None:
    """A piano roll whose notes are coloured by what they earned, over the rewards of each rule, step by step.

    A note's colour is the sum of the rewards from its onset to its end; a hatched note lost more than it earned, so that
    the picture can be read in black and white. Long melodies take several rows.
    """
    from rltuner.melody.plots import pyplot

    plt = pyplot()
    from matplotlib.colors import TwoSlopeNorm

    rewards = [entry["reward"] for entry in explained["events"]]
    notes = melody.notes(0)
    earned = [sum(rewards[start:end]) for _, start, end in notes]
    limit = max([abs(value) for value in earned] + [1e-6])
    norm, colours = TwoSlopeNorm(0, -limit, limit), plt.get_cmap("PuOr_r")
    bar = melody.meter.steps_per_bar
    per_row = bar * min(4, max(1, -(-len(rewards) // bar)))
    rows = max(1, -(-len(rewards) // per_row))
    used = [
        name
        for name, value in explained["rules"].items()
        if any(name in e["rules"] for e in explained["events"])
    ]
    figure = plt.figure(figsize=(12, 3.4 * rows + 0.9), layout="constrained")
    grid = figure.subplots(2 * rows, 1, height_ratios=[2.2, 1] * rows, squeeze=False)[:, 0]
    low, high = min(pitch for pitch, _, _ in notes) - 2, max(pitch for pitch, _, _ in notes) + 2
    shades = (
        "0.2",
        "0.75",
        "#4477aa",
        "#bbccee",
        "#228833",
        "#ccddaa",
        "#66ccee",
        "#aa3377",
        "#eecccc",
        "#332288",
    )
    parts = [entry["rules"].values() for entry in explained["events"]]
    gains = max([sum(value for value in part if value > 0) for part in parts] + [1e-6])
    losses = min([sum(value for value in part if value < 0) for part in parts] + [-1e-6])
    hatches = ("", "...", "xx", "ooo")  # none like that of the notes, which means a loss
    for row in range(rows):
        first = row * per_row
        roll, bars = grid[2 * row], grid[2 * row + 1]
        for (pitch, start, end), value in zip(notes, earned, strict=True):
            if start < first + per_row and end > first:
                roll.broken_barh(
                    [(start, end - start)], (pitch - 0.45, 0.9), facecolor=colours(norm(value)), edgecolor="black",
                    linewidth=0.7, hatch="////" if value < 0 else None,
                )  # fmt: skip
        shown = explained["events"][first : first + per_row]
        above, below = [0.0] * len(shown), [0.0] * len(shown)
        for index, name in enumerate(used):
            values = [entry["rules"].get(name, 0.0) for entry in shown]
            bottoms = [above[t] if value > 0 else below[t] for t, value in enumerate(values)]
            bars.bar(
                [first + t + 0.5 for t in range(len(values))], values, 0.9, bottoms, label=name, edgecolor="black",
                color=shades[index % len(shades)], hatch=hatches[index % 4], linewidth=0.3,
            )  # fmt: skip
            above = [total + max(value, 0) for total, value in zip(above, values, strict=True)]
            below = [total + min(value, 0) for total, value in zip(below, values, strict=True)]
        for axes in (roll, bars):
            axes.set_xlim(first, first + per_row)
            for step in range(first, first + per_row + 1, bar):
                axes.axvline(step, color="0.6", linewidth=0.8, zorder=0)
            axes.set_xticks(range(first, first + per_row + 1, bar))
            axes.tick_params(labelsize=8)
        roll.set_ylim(low, high)
        roll.set_ylabel("MIDI pitch", fontsize=9)
        roll.set_xticklabels([])
        bars.set_ylim(1.1 * losses, 1.1 * gains)
        bars.axhline(0, color="black", linewidth=0.8)
        bars.set_ylabel("reward", fontsize=9)
        bars.set_xticklabels([f"bar {step // bar + 1}" for step in range(first, first + per_row + 1, bar)])
    mappable = plt.cm.ScalarMappable(norm, colours)
    figure.colorbar(
        mappable, ax=list(grid), label="reward while the note lasts (hatched: negative)", shrink=0.6
    )
    handles, labels = grid[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=11)
    figure.savefig(file, dpi=110)
    plt.close(figure)
