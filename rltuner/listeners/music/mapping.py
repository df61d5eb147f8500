"""`rltuner listeners map`: families, their distances and neighbours, for every set of features."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rltuner.console import output_console, say
from rltuner.listeners.config import MapConfig
from rltuner.listeners.music.catalogue import Catalogue, catalogue
from rltuner.listeners.music.features import feature_sets, features
from rltuner.listeners.music.pictures import draw_map
from rltuner.listeners.music.space import centre_distances, neighbour_accuracy, space
from rltuner.networks.note_rnn import NoteRNN
from rltuner.storing.atomic import naming
from rltuner.storing.output_folder import check_is_empty, filled_folder

SHOWN = 16  # families in the heat map
LEAST = 2  # tunes of a family in it


def draw(config: MapConfig) -> None:
    """Writes the pictures and map.md, and prints it. InputError where the folder holds something, or a source is
    unknown."""
    check_is_empty(config.out)
    known = catalogue(config.sources, config.count, config.length, config.seed)
    note_rnn = NoteRNN.load(config.note_rnn)
    with filled_folder(config.out) as folder:
        text = draw_maps(known, note_rnn, config.dimensions, folder)
        with naming(folder / "map.md"):
            (folder / "map.md").write_text(text + "\n", encoding="utf-8")
    output_console.print(text, markup=False, soft_wrap=True)
    say(f"pictures: {config.out}")


def draw_maps(catalogue: Catalogue, note_rnn: NoteRNN, dimensions: int, folder: Path) -> str:
    """A picture a set of features in the folder, and the table of families and features as Markdown."""
    names = [name for name, count in catalogue.counts.items() if count >= LEAST][:SHOWN] or list(
        catalogue.counts
    )
    families = list(catalogue.families)
    total = len(families)
    chance = sum(count * (count - 1) for count in catalogue.counts.values()) / (total * (total - 1))
    lines = [
        "| features | numbers | variance kept | neighbour's family, all numbers | … in the space | cells filled |"
    ]
    lines.append("|---|---:|---:|---:|---:|---:|")
    for name in feature_sets(note_rnn):
        say(f"features: {name}")
        rows = features(catalogue.tunes, name, note_rnn)
        found = space(rows, dimensions)
        whole = (rows - found.mean) / found.scale.clip(1e-9)
        draw_map(
            space(rows, max(3, dimensions)).points,
            families,
            names,
            centre_distances(found.points, families, names),
            f"{name}: {total} tunes",
            folder / f"{name.replace(' ', '_')}.png",
        )
        cells = len(set(found.cells.tolist()))
        lines.append(
            f"| {name} | {rows.shape[1]} | {100 * found.explained.sum():.0f} % | {_share(whole, families)} | "
            f"{_share(found.points, families)} | {cells} of {found.per_feature**dimensions} |"
        )
    counts = ", ".join(f"{name} {count}" for name, count in catalogue.counts.items())
    return "\n".join(
        [
            f"{total} tunes: {counts}",
            "",
            *lines,
            "",
            f"By chance a neighbour is of the family: {100 * chance:.1f} %",
        ]
    )


def _share(points: object, families: Sequence[str]) -> str:
    return f"{100 * neighbour_accuracy(points, list(families)):.1f} %"  # type: ignore[arg-type]
