"""What tuning asks of its networks, and all that it needs to know of how they are computed.

* `compose`: melodies by the policy.
* `log_prior` and `scores`: log-probabilities of melodies under the Note RNN, and the scores that a policy network and a
  value network give their events.
* `gradients`: a gradient step's loss and gradients.

`TorchEngine` has all methods, and answers on any device. `KernelEngine` answers the same up to rounding, several times as
fast, on the CPU: it inherits them, and overrides `compose` and the private ones that work on a thread's share.
"""

from __future__ import annotations

import torch

from rltuner.interrupts import importing
from rltuner.networks.algorithms import Loss
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.policy import Policy
from rltuner.networks.torch_engine import TorchEngine
from rltuner.networks.value import ValueNetwork

Engine = TorchEngine
"""Its methods are the interface; `KernelEngine` is one too."""


def engine_for(policy: Policy, value: ValueNetwork, note_rnn: NoteRNN, loss: Loss, threads: int) -> Engine:
    """The engine for these networks: kernels for an algorithm and networks that they know, in float32 on the CPU.

    Others go through torch.

    Args:
      policy, value: the networks that learn. They must stay on their device, and their weights may change in place only.
      note_rnn: p, which does not learn.
      loss: what a gradient step lowers.
      threads: of the CPU.
    """
    weight = policy.network.output.weight
    has_kernels = policy.backup.has_kernels and policy.network.has_kernels and value.network.has_kernels
    if has_kernels and weight.device.type == "cpu" and weight.dtype == torch.float32:
        # Not before it is needed: numba takes most of a second to import.
        with importing():
            from rltuner.networks.kernel_engine import KernelEngine

        return KernelEngine(policy, value, note_rnn, loss, threads)
    return TorchEngine(policy, value, note_rnn, loss, threads)
