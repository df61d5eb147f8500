"""Particle systems estimate Z without bias, and their melodies are distributed as the optimum."""

import pytest
import torch

from rltuner.errors import InputError
from rltuner.melody import Melodies, Vocabulary
from rltuner.networks.divergence import log_probabilities
from rltuner.networks.note_rnn import NoteRNN
from rltuner.networks.particles import Systems, _resampled, steer
from rltuner.networks.policy import Policy
from rltuner.rules import load_rulebook
from rltuner.rules.book import RuleBook

SMALL, LENGTH, C = Vocabulary(60, 63), 6, 0.5  # 5 classes: 15,625 melodies
PRIOR = NoteRNN(SMALL, (12,), seed=3)
PROPOSALS = {"prior": Policy("note_rnn", PRIOR), "another": Policy("psi", NoteRNN(SMALL, (12,), seed=4))}


def turns(melodies: Melodies) -> torch.Tensor:
    """Pays for ups, and at the last event for as many onsets as rests and holds."""
    rewards = (melodies.interval > 0).float()
    rewards[:, -1] += (melodies.is_onset.sum(dim=1) * 2 == melodies.lengths).float()
    return rewards


BOOK = RuleBook("turns", "", "C major", None, {"turns": turns}, {"turns": 1.0}, {})


def exact(primer: int) -> tuple[torch.Tensor, torch.Tensor, float]:
    """All melodies, their probabilities under pi*, and log Z."""
    rows = torch.cartesian_prod(*[torch.arange(5)] * LENGTH)
    melodies = Melodies(rows, None, torch.full((len(rows), 1), primer), SMALL)
    with torch.no_grad():
        log_p = log_probabilities(PRIOR, melodies).gather(2, rows[..., None])[..., 0].sum(dim=1)
    wanted = log_p + turns(melodies).sum(dim=1) / C
    return rows, wanted.softmax(dim=0), float(wanted.logsumexp(dim=0))


def systems(proposal: str, count: int, particles: int) -> Systems:
    generator = torch.Generator().manual_seed(0)
    return steer(PROPOSALS[proposal], PRIOR, BOOK, C, torch.full((count, 1), 3), LENGTH, particles, generator)


@pytest.mark.parametrize("proposal", PROPOSALS)
def test_the_mean_estimate_is_z(proposal: str) -> None:
    log_z = exact(3)[2]
    ratio = (systems(proposal, 2000, 16).log_z.double() - log_z).exp()
    error = float(ratio.std()) / len(ratio) ** 0.5
    assert error < 0.04
    assert float(ratio.mean()) == pytest.approx(1.0, abs=4 * error)


def test_the_estimate_of_log_z_lies_below_and_tightens_with_particles() -> None:
    log_z = exact(3)[2]
    gaps = [log_z - float(systems("another", 4096 // k * 4, k).log_z.mean()) for k in (4, 32, 1024)]
    assert gaps[0] > gaps[1] > 0
    assert gaps[0] > 0.3
    assert abs(gaps[2]) < 0.03


def test_melodies_are_distributed_as_the_optimum() -> None:
    rows, probabilities, _ = exact(3)
    drawn = systems("another", 40, 4000).draw(torch.Generator().manual_seed(1), 2000)
    place = (drawn.events * 5 ** torch.arange(LENGTH - 1, -1, -1)).sum(dim=1)
    frequency = torch.bincount(place, minlength=len(rows)) / len(place)
    by_first, exact_by_first = (x.view(25, -1).sum(dim=1) for x in (frequency, probabilities))  # two events
    assert float((by_first - exact_by_first).abs().sum()) / 2 < 0.03
    mean_reward = float(turns(drawn).sum(dim=1).mean())
    assert mean_reward == pytest.approx(
        float((probabilities * turns(Melodies(rows, None, None, SMALL)).sum(dim=1)).sum()), abs=0.05
    )


def test_where_nothing_is_rewarded_every_weight_is_equal() -> None:
    free = RuleBook("free", "", "C major", None, {"turns": turns}, {"turns": 0.0}, {})
    result = steer(
        PROPOSALS["prior"],
        PRIOR,
        free,
        C,
        torch.tensor([[0], [4]]),
        LENGTH,
        8,
        torch.Generator().manual_seed(0),
    )
    assert result.log_z.tolist() == pytest.approx([0, 0], abs=1e-5)
    assert result.log_weights.exp().flatten().tolist() == pytest.approx([1 / 8] * 16, abs=1e-5)
    assert result.melodies.context.flatten().tolist() == [0] * 8 + [4] * 8


def test_resampling_gives_each_particle_its_share_rounded_up_or_down() -> None:
    log_weights = torch.randn(50, 64, generator=torch.Generator().manual_seed(0)) * 2
    ancestors = _resampled(log_weights, torch.Generator().manual_seed(1))
    expected = 64 * log_weights.softmax(dim=1)
    counts = torch.stack([torch.bincount(row, minlength=64) for row in ancestors])
    assert ((counts - expected).abs() < 1 + 1e-4).all()


def test_steering_by_magenta_pays_without_training() -> None:
    note_rnn = NoteRNN.load("note_rnn")
    policy, book = Policy("note_rnn", note_rnn), load_rulebook("magenta")
    contexts = torch.arange(38)[:, None]
    generator = torch.Generator().manual_seed(0)
    steered = steer(policy, note_rnn, book, 2.0, contexts, 32, 32, generator).draw(generator)
    plain = policy.compose(500, seed=0)
    paid, unpaid = (float(book.score(melodies)["total"].sum(dim=1).mean()) for melodies in (steered, plain))
    assert steered.context.tolist() == contexts.tolist()
    assert paid > unpaid + 50


@pytest.mark.parametrize(("particles", "length", "c"), [(0, 4, 1.0), (4, 0, 1.0), (4, 4, 0.0)])
def test_nothing_to_steer_is_refused(particles: int, length: int, c: float) -> None:
    with pytest.raises(InputError, match="smc: 1 primers"):
        steer(PROPOSALS["prior"], PRIOR, BOOK, c, torch.tensor([[0]]), length, particles, torch.Generator())
