"""Networks that hear the last event alone, as all did before there were other inputs: they compose what they did then.

The checkpoints are those that were shipped before; the sums are of what they composed then.
"""

import hashlib
from pathlib import Path

import pytest

from rltuner.networks.policy import load

FIXTURES = Path(__file__).parent.parent / "fixtures" / "event_networks"
COMPOSED = {
    ("note_rnn", "none"): "a8ab46a5eee05abd",
    ("note_rnn", "random_note"): "95496dc73822abd0",
    ("psi", "none"): "46ec71c29a33e32e",
    ("psi", "random_note"): "e0331a83050366ad",
    ("g", "none"): "1d72c637953c0671",
    ("g", "random_note"): "1cd82010b51e948c",
}


@pytest.mark.parametrize(("name", "primer"), list(COMPOSED))
def test_a_checkpoint_without_inputs_hears_the_event_and_composes_the_same_bytes(
    name: str, primer: str
) -> None:
    policy = load(FIXTURES / name)
    assert policy.network.inputs.names == ("event",)
    events = policy.compose(100, 64, seed=3, primer=primer).events
    assert hashlib.sha256(events.numpy().tobytes()).hexdigest()[:16] == COMPOSED[name, primer]
