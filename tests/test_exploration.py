"""Melodies for the replay that the policy would hardly compose by itself."""

import dataclasses

import torch

from rltuner.config import FinetuneConfig
from rltuner.exploration import steered, with_a_passage_repeated
from rltuner.learner import Learner
from rltuner.melody import Melodies, Meter
from rltuner.note_rnn import NoteRNN
from rltuner.replay import Replay
from rltuner.rules import load_rulebook
from rltuner.tuner import judge, tune_round

CONFIG = FinetuneConfig(
    smc=8,
    smc_systems=16,
    smc_every=2,
    smc_replay=64,
    repeated=2.0,
    batch_size=16,
    minibatch_size=16,
    length=16,
    threads=1,
)


def repeats(events: list[int], shortest: int) -> bool:
    """Some passage of `shortest` events comes again, without overlap."""
    last = len(events) - shortest
    return any(
        events[a : a + shortest] == events[b : b + shortest]
        for a in range(last + 1)
        for b in range(a + shortest, last + 1)
    )


def test_a_passage_is_repeated_and_the_rest_stays() -> None:
    for meter, shortest in ((Meter(), 8), (Meter(12, 4), 6)):
        events = torch.arange(300 * 32).reshape(300, 32) % 38  # no event comes twice within 38
        melodies = Melodies(events, None, torch.full((300, 1), 7), None, meter)
        edited = with_a_passage_repeated(melodies, torch.Generator().manual_seed(0))
        assert edited.context.eq(7).all()
        places = set()
        for before, after in zip(events.tolist(), edited.events.tolist(), strict=True):
            changed = [t for t in range(32) if before[t] != after[t]]
            assert len(changed) >= shortest
            assert changed == list(range(changed[0], changed[-1] + 1))  # one stretch
            assert repeats(after, shortest)
            assert not repeats(before, shortest)
            places.add((changed[0], changed[-1]))
        assert len(places) > 50
        assert shortest <= min(first for first, _ in places) <= shortest + 1
        assert max(last for _, last in places) == 31


def test_a_melody_too_short_for_a_repetition_stays_as_it_is() -> None:
    melodies = Melodies(torch.arange(15)[None])
    edited = with_a_passage_repeated(melodies, torch.Generator())
    assert edited.events.tolist() == melodies.events.tolist()


def test_steered_melodies_earn_more_than_composed_ones() -> None:
    learner = Learner(
        NoteRNN.load("note_rnn"), dataclasses.replace(CONFIG, smc=32, smc_systems=64, length=32)
    )
    book = load_rulebook("magenta")
    found = steered(learner, book, torch.Generator().manual_seed(0))
    assert found.events.shape == (64, 32)
    plain = learner.policy.compose(64, 32, seed=0)
    assert judge(learner, book, found)[1].sum() > judge(learner, book, plain)[1].sum() + 64 * 10


def test_steered_melodies_are_kept_and_learned_from() -> None:
    note_rnn, book = NoteRNN.load("note_rnn"), load_rulebook("magenta")
    learner, replay = Learner(note_rnn, CONFIG), Replay(CONFIG.replay, CONFIG.smc_replay)
    assert replay.steered is not None
    generator, sizes, learned = torch.Generator().manual_seed(0), [], []
    learn = learner.learn
    learner.learn = lambda part, *rest: (learned.append(len(part)), learn(part, *rest))[1]  # type: ignore[method-assign]
    for update in range(5):
        tune_round(learner, replay, book, generator, update)
        sizes.append(len(replay.steered))
    assert sizes == [16, 16, 32, 32, 48]
    assert sum(learned[:5]) == 16 * (
        1 + 2 + 2
    )  # new, steered and repeated ones; nothing to replay in round 1


def test_without_particles_a_policy_learns_from_its_own_melodies_with_a_passage_repeated() -> None:
    config = dataclasses.replace(CONFIG, smc=0, repeated=0.5, replayed=0.0)
    learner, replay = Learner(NoteRNN.load("note_rnn"), config), Replay(config.replay)
    pools, goals = [], learner.goals
    learner.goals = lambda pool, *rest: (pools.append(pool), goals(pool, *rest))[1]  # type: ignore[method-assign]
    tune_round(learner, replay, load_rulebook("magenta"), torch.Generator().manual_seed(0), 0)
    (pool,) = pools
    new, edited = pool.events[: config.batch_size], pool.events[config.batch_size :]
    assert len(edited) == config.batch_size / 2
    for one, other in zip(edited, new, strict=False):
        start = int((one != other).long().argmax())  # what comes before the repetition is the melody's own
        assert torch.equal(one[:start], other[:start])
    assert not torch.equal(edited, new[: len(edited)])
