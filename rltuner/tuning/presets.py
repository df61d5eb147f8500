"""Presets of finetune: settings that belong together, under a name."""

from __future__ import annotations

import dataclasses
import difflib

from rltuner.errors import InputError
from rltuner.tuning.config import FinetuneConfig, PresetName

# Every melody once, in many steps, and a value network that begins as the Note RNN: slower, and the way by which `best`
# gets to motifs that return without fewer melodies (docs/algorithms.md, "How much is learned from a melody").
SMALL_STEPS: dict[str, object] = {
    "passes": 1,
    "minibatch_size": 32,
    "learning_rate": 2e-3,
    "value_units": 0,
    "value_learning_rate": 1e-2,
}

# The paper's network, which hears the last event alone: what `best` was found for, and what the paper's settings mean.
EVENT_RNN = "event_rnn"

# A reward that is worth a nat or two a melody, summed to its end without a discount: the optimum is p exp(r / c), which
# is near p, so the steps are small (docs/algorithms.md, "Whole tunes").
WHOLE_TUNES: dict[str, object] = {
    "rules": "gauldin",
    "bars": 8,
    "length": 128,
    "events": 4_900_000,
    "gamma": 1.0,
    "trace": 1.0,
    "learning_rate": 1e-3,
    "value_learning_rate": 1e-2,
    "likeliest": 1.0,
}

# What each preset changes of finetune's defaults.
PRESETS: dict[str, dict[str, object]] = {
    "quick": {},
    "best": {
        "note_rnn": EVENT_RNN,
        "events": 3_600_000,  # besides those of the particles
        "gamma": 0.91,
        "trace": 0.7,
        "batch_size": 128,
        "replay": 0,
        "replayed": 0.0,
        **SMALL_STEPS,
        "huber": 8.0,
        "smc": 32,
        "smc_every": 8,
        "smc_c": 0.45,
        "smc_replayed": 3.0,
        "smc_later": 1 / 6,
        "repeated": 1.5,
        "least_distinct": 0.97,
    },
    "paper": {
        "note_rnn": EVENT_RNN,
        "events": 1_000_000,
        "c": 0.5,
        "gamma": 0.5,
        "as_earned": False,
        "trace": 0.0,
        "batch_size": 32,
        "minibatch_size": 1,  # 32 transitions
        "replay": 3125,  # 100,000 transitions
        "replayed": 5.4,  # 6.4 learned transitions for each composed one, as also in quick: 1.6 in 4 passes
        "passes": 1,
        "learning_rate": 1e-3,
        "value_units": 0,
        "value_learning_rate": 1e-2,
        "likeliest": 1.0,
        "target_rate": 0.01,
        "clip": 5.0,
        "greedy": True,
        "epsilon": 1.0,
        "epsilon_end": 0.1,
    },
    "tune": WHOLE_TUNES,
}


# Where an algorithm has values of its own. Q has no entropy term: looking as far ahead as the others it settles on few
# melodies, and steered ones tempt it there the sooner (docs/algorithms.md, "Collapse"). G's policy is p times what it
# learned: the tonic after a primer that makes it unlikely takes a lower c and steered ones.
Q_QUICK: dict[str, object] = {"gamma": 0.76, "likeliest": 1.0}
Q_BEST: dict[str, object] = {
    "note_rnn": EVENT_RNN,
    **Q_QUICK,
    **SMALL_STEPS,
    "replayed": 1.0,
    "events": 2_500_000,
}
G_BEST: dict[str, object] = {"c": 0.65, "smc_later": 0.333, "repeated": 1.2}
OF_ALGORITHM: dict[tuple[str, str], dict[str, object]] = {
    ("quick", "q"): Q_QUICK,
    ("best", "q"): Q_BEST,
    ("best", "g"): {**PRESETS["best"], **G_BEST},
}

# What people who come from elsewhere type, and the field's own name here.
OTHER_NAMES = {
    "lr": "learning_rate",
    "discount": "gamma",
    "lambda_": "trace",
    "lam": "trace",
    "steps": "events",
    "total_timesteps": "events",
    "timesteps": "events",
    "tau": "target_rate",
    "eta": "target_rate",
    "algorithm": "algo",
    "model": "note_rnn",
    "checkpoint": "note_rnn",
    "book": "rules",
    "particles": "smc",
    "max_grad_norm": "clip",
    "buffer_size": "replay",
}


def preset(name: PresetName, **fields: object) -> FinetuneConfig:
    """The preset's configuration of finetune, with some fields changed.

    Another length, by `length` or by `bars` and `meter`, brings along what is not given itself: events in proportion; a
    discount that weighs the end of a melody as before; a bound on the likeliest melody that is as strict an event.

    Raises InputError for an unknown preset or field, or a value out of range.
    """
    known = [field.name for field in dataclasses.fields(FinetuneConfig)]
    for field in fields:
        if field not in known:
            other = [OTHER_NAMES[field]] if field in OTHER_NAMES else []
            near = other or difflib.get_close_matches(field, known, n=1)
            raise InputError(
                f"preset: unknown field {field!r}; " + (f"did you mean {near[0]!r}?" if near else "remove it")
            )
    if name not in PRESETS:
        raise InputError(f"unknown preset {name!r}; use one of {', '.join(PRESETS)}")
    changes = OF_ALGORITHM.get((name, str(fields.get("algo"))), PRESETS[name])
    values = {**changes, **_of_length(changes, fields), **fields}
    return dataclasses.replace(FinetuneConfig(preset=name), **values)  # type: ignore[arg-type]


def _of_length(changes: dict[str, object], fields: dict[str, object]) -> dict[str, object]:
    """What follows from another length than that of the preset's `changes`."""
    if not {"length", "bars", "meter"} & {*fields}:
        return {}
    default = FinetuneConfig()
    before = {
        name: changes.get(name, getattr(default, name)) for name in ("length", "gamma", "likeliest", "events")
    }
    bars = fields.get("bars", 0 if "length" in fields else changes.get("bars", 0))
    length = fields.get("length", before["length"])
    if bars:
        from rltuner.melody import Meter  # it takes torch, which --help must not wait for

        length = bars * Meter.parse(str(fields.get("meter") or "4/4")).steps_per_bar  # type: ignore[operator]
    if type(length) is not int or length < 1:
        return {}  # the configuration says what is wrong
    factor = length / before["length"]  # type: ignore[operator]
    return {
        "bars": bars,
        "length": length,
        "events": round(before["events"] * factor),  # type: ignore[operator]
        "gamma": before["gamma"] ** (1 / factor),  # type: ignore[operator]
        "likeliest": max(1e-30, before["likeliest"] ** factor),  # type: ignore[operator]
    }
