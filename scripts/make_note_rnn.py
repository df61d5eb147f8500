"""Makes checkpoints/note_rnn: the shipped Note RNN, its model card, credits and test tunes.

    python scripts/make_note_rnn.py            # 9 minutes on two cores; parses the tunebooks first

The same seed, threads and versions (constraints.txt) give the same weights.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import rltuner
from rltuner.pretraining.pretrain import pretrain
from rltuner.pretraining.stored import METRICS, STATE

TARGET = Path(__file__).parent.parent / "checkpoints" / "note_rnn"

if __name__ == "__main__":
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    made = pretrain(rltuner.PretrainConfig(out=TARGET.with_name("note_rnn.new"), threads=2))
    shutil.rmtree(made / STATE)  # what only a training that goes on needs
    (made / METRICS).unlink()
    shutil.rmtree(TARGET, ignore_errors=True)
    made.rename(TARGET)
    print(f"{TARGET}: replaced")
