"""The torch device that a command runs on."""

from __future__ import annotations

import torch

from rltuner.errors import InputError


def usable_device(name: str) -> torch.device:
    """The device, after a first tensor was made on it; InputError where it is unknown or not there."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:100]
        raise InputError(
            f"--device {name}: not usable on this machine ({reason}); use --device cpu"
        ) from None
    return device
