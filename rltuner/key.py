"""Keys, by the name under which users' rules import them; they live in `rltuner.melody.key`."""

from rltuner.melody.key import MODES, Key, pitch_name, spelled

__all__ = ["MODES", "Key", "pitch_name", "spelled"]
