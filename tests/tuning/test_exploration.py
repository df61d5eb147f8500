"""Melodies for the replay that the policy would hardly compose by itself."""

import dataclasses

import torch

from rltuner.melody import Melodies, Meter
from rltuner.networks.note_rnn import NoteRNN
from rltuner.rules import load_rulebook
from rltuner.tuning.config import FinetuneConfig
from rltuner.tuning.exploration import steered, with_a_passage_repeated
from rltuner.tuning.learner import Learner
from rltuner.tuning.replay import Replay
from rltuner.tuning.round import score, tune_round

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


def test_a_passage_comes_again_half_a_bar_later_and_the_rest_stays() -> None:
    for meter, half_bar in ((Meter(), 8), (Meter(12, 4), 6)):
        events = torch.arange(300 * 32).reshape(300, 32) % 38  # no event comes twice within 38
        melodies = Melodies(events, None, torch.full((300, 1), 7), None, meter)
        edited = with_a_passage_repeated(melodies, torch.Generator().manual_seed(0))
        assert edited.context.eq(7).all()
        starts, lengths = set(), set()
        for before, after in zip(events.tolist(), edited.events.tolist(), strict=True):
            changed = [t for t in range(32) if before[t] != after[t]]
            assert changed == list(range(changed[0], changed[-1] + 1))  # one stretch
            assert all(after[t] == after[t - half_bar] for t in changed)
            starts.add(changed[0])
            lengths.add(len(changed))
        assert starts == set(range(half_bar, 32 - half_bar + 1))
        assert lengths == set(range(half_bar, half_bar * 3 // 2 + 1))


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
    assert (
        score(learner, book, found)[0].rewards.sum() > score(learner, book, plain)[0].rewards.sum() + 64 * 10
    )


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


def test_fewer_steered_melodies_are_learned_from_after_the_first_quarter() -> None:
    config = dataclasses.replace(
        CONFIG, events=4 * 16 * 16, smc_every=4, smc_later=0.25, replayed=0.0, repeated=0.0
    )
    learner, replay = Learner(NoteRNN.load("note_rnn"), config), Replay(0, config.smc_replay)
    book, generator, pools, goals = (
        load_rulebook("magenta"),
        torch.Generator().manual_seed(0),
        [],
        learner.goals,
    )
    learner.goals = lambda pool, *rest: (pools.append(len(pool)), goals(pool, *rest))[1]  # type: ignore[method-assign]
    for update in range(4):
        tune_round(learner, replay, book, generator, update)
    assert pools == [16 + 2 * 16, 16 + 8, 16 + 8, 16 + 8]


def test_a_policy_learns_from_its_own_melodies_with_a_passage_repeated() -> None:
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
