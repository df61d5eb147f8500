"""Makes checkpoints/note_rnn: the shipped Note RNN, its model card, credits and test tunes.

    python scripts/make_note_rnn.py            # 15 minutes on one core; parses the tunebooks first

The same seed, threads and versions (constraints.txt) give the same weights.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import rltuner
from rltuner.pretraining.pretrain import pretrain

TARGET = Path(__file__).parent.parent / "checkpoints" / "note_rnn"

if __name__ == "__main__":
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    made = pretrain(rltuner.PretrainConfig(out=TARGET.with_name("note_rnn.new"), threads=1))
    shutil.rmtree(TARGET, ignore_errors=True)
    made.rename(TARGET)
    print(f"{TARGET}: replaced")
