"""Pictures of the space of features: the thesis' Figures 26 to 31."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rltuner.listeners.music.features import Rows
from rltuner.storing.atomic import naming

MOST_SHOWN = 10  # families with a colour of their own


def draw_map(
    points: Rows, families: list[str], names: list[str], distances: Rows, title: str, file: Path
) -> None:
    """Two and three components of the tunes, a colour a family, and the heat map of distances between families' centres.

    Args:
      points: float64 [N, d], d at least 3.
      families: of the tunes.
      names: of the families shown, most tunes first.
      distances: [K, K], of `names`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(17, 5.4), layout="constrained")
    FigureCanvasAgg(figure)
    flat: Any = figure.add_subplot(1, 3, 1)
    solid: Any = figure.add_subplot(1, 3, 2, projection="3d")
    labels = np.array(families)
    others = ~np.isin(labels, names[:MOST_SHOWN])
    for axes, size in ((flat, 2), (solid, 3)):
        axes.plot(*points[others, :size].T, ".", markersize=3, color="0.8", label="others")
        for number, name in enumerate(names[:MOST_SHOWN]):
            axes.plot(*points[labels == name, :size].T, ".", markersize=4, color=f"C{number}", label=name)
        axes.set_xlabel("1st component")
        axes.set_ylabel("2nd component")
    solid.set_zlabel("3rd component")
    figure.legend(
        *flat.get_legend_handles_labels(), loc="outside lower left", ncols=6, fontsize=7
    )  # beside the points, not on them
    flat.set_title(title)
    heat = figure.add_subplot(1, 3, 3)
    image = heat.imshow(distances, cmap="viridis")
    heat.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    heat.set_yticks(range(len(names)), names, fontsize=7)
    heat.set_title("distance between families' centres")
    figure.colorbar(image, ax=heat, shrink=0.8)
    with naming(file):
        figure.savefig(file, dpi=110)
