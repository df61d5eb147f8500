"""What a network hears of melodies."""

from __future__ import annotations

import torch
from torch import Tensor

from rltuner.melody import Melodies


def inputs_of(melodies: Melodies) -> tuple[Tensor, int]:
    """What a network hears so that it predicts every event: int64 [B, max(P, 1) + T - 1], and how many to skip.

    The context, or -1 (the zero input) where there is none, then the events but for the last. The outputs from the
    returned position on predict events 0 to T - 1.
    """
    events, context = melodies.events, melodies.context
    if not context.shape[1]:
        context = torch.full_like(melodies.lengths[:, None], -1)
    return torch.cat([context, events[:, :-1]], dim=1), context.shape[1] - 1
