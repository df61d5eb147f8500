"""What the kernels make of logits is what torch makes of them. The way back is in test_gradients."""

import pytest
import torch
from torch import nn

from rltuner.networks.algorithms import advantage, backup_named
from rltuner.networks.kernels.output_layer import advantages, log_probabilities

# One class, one less than a tile, a tile, one more; a melody, a block of melodies, one more.
every_shape = pytest.mark.parametrize(
    ("classes", "batch"), [(1, 1), (15, 12), (16, 13), (17, 25), (38, 3), (38, 0)]
)

every_lookback = pytest.mark.parametrize("distances", [0, 1, 4])


def layer(classes: int, units: int = 7) -> nn.Linear:
    torch.manual_seed(classes)
    return nn.Linear(units, classes).requires_grad_(False)


def played(batch: int, classes: int, distances: int, steps: int = 4) -> torch.Tensor:
    """Classes looked back on, and -1 for nothing."""
    generator = torch.Generator().manual_seed(3)
    return torch.randint(-1, classes, (batch, steps, distances), generator=generator)


def with_repeats(outputs: torch.Tensor, of: torch.Tensor) -> torch.Tensor:
    """Logits [B, T, V], one by one: what follows the V classes' outputs is added to those of what is looked back on."""
    classes = outputs.shape[2] - of.shape[2]
    logits = outputs[..., :classes].clone()
    for b, melody in enumerate(of.tolist()):
        for t, step in enumerate(melody):
            for d, event in enumerate(step):
                if event >= 0:
                    logits[b, t, event] += outputs[b, t, classes + d]
    return logits


def hidden(batch: int, steps: int = 4, units: int = 7) -> torch.Tensor:
    return 5 * torch.randn(steps, batch, units, generator=torch.Generator().manual_seed(1))


@every_shape
@every_lookback
def test_log_probabilities_are_torchs(classes: int, batch: int, distances: int) -> None:
    output, states, of = layer(classes + distances), hidden(batch), played(batch, classes, distances)
    expected = with_repeats(output(states).transpose(0, 1), of).log_softmax(dim=2)
    torch.testing.assert_close(log_probabilities(states, output, of), expected, atol=1e-5, rtol=1e-5)


@every_shape
@every_lookback
@pytest.mark.parametrize("algo", ["q", "psi", "g"])
def test_advantages_are_those_of_the_backups(classes: int, batch: int, distances: int, algo: str) -> None:
    output, states, backup = layer(classes + distances), hidden(batch), backup_named(algo)
    of = played(batch, classes, distances)
    generator = torch.Generator().manual_seed(2)
    events = torch.randint(classes, (batch, 4), generator=generator)
    logits = with_repeats(output(states).transpose(0, 1), of)
    log_prior = None if backup.includes_log_prior else torch.randn(logits.shape, generator=generator)
    expected = advantage(backup, logits, logits if log_prior is None else log_prior, events)
    found = advantages(states, output, of, events, log_prior, backup.is_soft)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_a_logit_far_above_the_others_is_certain() -> None:
    """No e^x goes beyond float32, and what is too small for it counts as nothing."""
    output = layer(3)
    output.weight.zero_()
    output.bias[:] = torch.tensor([500.0, -500.0, 0.0])
    found = log_probabilities(hidden(1), output, played(1, 3, 0))[0, 0]
    torch.testing.assert_close(found, torch.tensor([0.0, -1000.0, -500.0]), atol=1e-6, rtol=0)


def test_what_is_not_a_number_is_not_made_one() -> None:
    output, states = layer(5), hidden(2)
    output.bias[3] = float("nan")
    events = torch.zeros((2, 4), dtype=torch.int64)
    assert bool(log_probabilities(states, output, played(2, 5, 0)).isnan().all())
    for is_soft in (True, False):
        assert bool(advantages(states, output, played(2, 5, 0), events, None, is_soft).isnan().all())


def test_shapes_that_do_not_fit_are_refused() -> None:
    output, states = layer(5), hidden(2)
    events = torch.zeros((2, 4), dtype=torch.int64)
    with pytest.raises(ValueError, match="events"):
        advantages(states, output, played(2, 5, 0), events[:, :3], None, True)
    with pytest.raises(ValueError, match="log p"):
        advantages(states, output, played(2, 5, 0), events, torch.zeros(2, 4, 6), True)
