"""rltuner: tune melody RNNs so that they obey music theory and still sound like their data.

    import rltuner
    policy = rltuner.load("note_rnn")
    melodies = policy.compose(4, length=32, seed=1)
    run = rltuner.finetune(rltuner.preset("quick", algo="psi"))

torch and the rest are imported when a name is first used, so that `import rltuner` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rltuner.errors import InputError
    from rltuner.melody import Melodies, Meter, Vocabulary
    from rltuner.networks.note_rnn import NoteRNN
    from rltuner.networks.policy import Policy, load
    from rltuner.pretraining.config import PretrainConfig
    from rltuner.tuning.config import FinetuneConfig
    from rltuner.tuning.finetune import finetune
    from rltuner.tuning.presets import preset
    from rltuner.version import __version__ as __version__

_HOMES = {
    "FinetuneConfig": "tuning.config",
    "InputError": "errors",
    "Melodies": "melody",
    "Meter": "melody",
    "NoteRNN": "networks.note_rnn",
    "Policy": "networks.policy",
    "PretrainConfig": "pretraining.config",
    "Vocabulary": "melody",
    "__version__": "version",
    "finetune": "tuning.finetune",
    "load": "networks.policy",
    "preset": "tuning.presets",
}

__all__ = [
    "FinetuneConfig",
    "InputError",
    "Melodies",
    "Meter",
    "NoteRNN",
    "Policy",
    "PretrainConfig",
    "Vocabulary",
    "finetune",
    "load",
    "preset",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rltuner' has no attribute {name!r}")
    value = getattr(import_module(f"rltuner.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
