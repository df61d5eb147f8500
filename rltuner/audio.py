"""Audio of MIDI files, by the name under which users import it; it lives in `rltuner.generating.audio`."""

from rltuner.generating.audio import render

__all__ = ["render"]
