"""The torch device that a command runs on, and how many threads torch takes for an operation there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from rltuner.errors import InputError


def usable_device(name: str) -> torch.device:
    """The torch device of that name, tried by making a tensor on it; InputError where it is unknown or missing."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:100]
        raise InputError(
            f"--device {name}: not usable on this machine ({reason}); use --device cpu"
        ) from None
    return device


@contextmanager
def undivided() -> Iterator[None]:
    """While inside, torch runs each operation in the calling thread alone.

    Those of a small network's step are not worth dividing, and a thread that waits for its next part of one keeps a core
    from those that compute shares of a batch (`engine`).
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
