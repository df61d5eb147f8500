"""What each input of a Note RNN is worth: networks that hear one besides the last event, all but one, and all.

    python scripts/ablate_inputs.py --out runs/ablations            # 2,000 updates each; half an hour on two cores
    python scripts/ablate_inputs.py --sizes --out runs/sizes        # sizes instead of inputs

Each network is trained by `pretrain` into a folder of its own; those that are there already are only measured.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import rltuner
from rltuner.console import output_console
from rltuner.melody.tunes import TEST_TUNES, load_tunes
from rltuner.networks.inputs.names import INPUTS
from rltuner.networks.note_rnn import NoteRNN
from rltuner.pretraining.pretrain import pretrain
from rltuner.pretraining.training import FIRST_BARS, fit_of

METERS = ("4/4", "6/8", "2/4", "3/4", "9/8")
OTHERS = INPUTS[1:]
SETTINGS: dict[str, dict[str, object]] = {
    "event": {"inputs": ("event",)},
    **{f"event, {name}": {"inputs": ("event", name)} for name in OTHERS},
    **{f"all but {name}": {"inputs": tuple(other for other in INPUTS if other != name)} for name in OTHERS},
    "all": {},
}
SIZES: dict[str, dict[str, object]] = {
    "100": {},
    "128": {"hidden_sizes": (128,)},
    "200": {"hidden_sizes": (200,)},
    "100, 100": {"hidden_sizes": (100, 100)},
    "100, no dropout": {"dropout": 0.0},
    "100, no average": {"averaging": 0.0},
}


def row(name: str, folder: Path) -> str:
    """Nats an event on the first 2, 8 and 16 bars of all test tunes, and on the first 8 of each metre's."""
    network, tunes = NoteRNN.load(folder), load_tunes(folder / TEST_TUNES)[0]
    found = [fit_of(network, tunes, bars).nll for bars in FIRST_BARS]
    found += [fit_of(network, [t for t in tunes if str(t.meter) == m], 8).nll for m in METERS]
    weights = sum(parameter.numel() for parameter in network.parameters())
    return f"| {name} | {weights:,} | " + " | ".join(f"{nll:.3f}" for nll in found) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", action="store_true")
    parser.add_argument("--updates", type=int, default=2_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    lines = []
    for name, changes in (SIZES if options.sizes else SETTINGS).items():
        folder = options.out / name.replace(", ", "_").replace(" ", "_")
        if not (folder / "config.json").exists():
            config = rltuner.PretrainConfig(
                out=folder,
                updates=options.updates,
                threads=options.threads,
                **changes,  # type: ignore[arg-type]
            )
            pretrain(config)
        torch.set_num_threads(options.threads)
        lines.append(row(name, folder))
    bars = " | ".join(f"{n} bars" for n in FIRST_BARS)
    head = f"| it hears | weights | {bars} | {' | '.join(f'8 bars of {m}' for m in METERS)} |"
    rule = "|---|" + "---:|" * (1 + len(FIRST_BARS) + len(METERS))
    output_console.print("\n".join([head, rule, *lines]), markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
