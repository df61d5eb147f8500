"""In which key a policy composes, in which its files sound, and by how much that moves all notes.

Most of Magenta's Melody RNNs learned from melodies moved into C major. Magenta moves a primer there, into the octave that
lies nearest to the middle of what the network can play, and moves what the network plays back; so does this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rltuner.console import say
from rltuner.errors import InputError
from rltuner.generating.config import GenerateConfig
from rltuner.melody import Melodies, Vocabulary
from rltuner.melody.key import Key
from rltuner.networks.policy import Policy
from rltuner.networks.primers import PRIMERS
from rltuner.reading.generated import LOWEST_SHIFT
from rltuner.reading.songs import read_as_written
from rltuner.rules.book import RuleBook

UNTUNED_KEY = "C major"  # a Note RNN's tunes are transposed to have no sharps or flats
TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


@dataclass(frozen=True)
class Keys:
    """The keys of one batch."""

    own: Key
    """That it is composed and judged in."""
    sounding: Key
    """That its files are in."""
    shift: int
    """Semitones from the first to the second, and to the octave of a primer."""


def keys_of(policy: Policy, config: GenerateConfig, guide: RuleBook | None) -> Keys:
    """The keys that --key, a primer and the policy ask for. InputError as `shift_to` has it.

    Args:
      policy: what composes.
      config: what is asked for.
      guide: the book that chooses or steers, if any.
    """
    own = key_of(policy, guide)
    wanted = None if config.key is None else Key.parse(config.key)
    imported = policy.card.get("imported")
    if policy.kind != "note_rnn" or guide is not None or not isinstance(imported, dict):
        sounding = own if wanted is None else wanted
        return Keys(own, sounding, shift_to(sounding, own, config.source))
    if imported.get("in_c_major") is False:
        if wanted is not None:
            say(
                f"--key {wanted}: {config.source} plays in every key, so nothing is moved; the files say {wanted}"
            )
        return Keys(wanted or own, wanted or own, 0)
    pitches = _pitches_of(config)
    if not pitches:
        sounding = own if wanted is None else wanted
        return Keys(own, sounding, shift_to(sounding, own, config.source))
    if wanted is None:
        wanted = major_key_of(pitches)
        say(
            f"{config.primer}: taken for {wanted}, the major key that holds most of its notes (--key says otherwise)"
        )
    shift_to(wanted, own, config.source)  # refuses another mode
    return Keys(own, wanted, squashed(pitches, own, wanted, policy.vocabulary))


def key_of(policy: Policy, guide: RuleBook | None = None) -> Key:
    """The key that a policy was tuned for, that of its rule book; of what was not tuned, the key of the book that guides
    it by particles or by choice, and C major without one."""
    if policy.kind == "note_rnn" and guide is not None:
        return Key.parse(guide.key)
    record = policy.card.get("rules")
    name = record.get("key") if isinstance(record, dict) else None
    return Key.parse(name if isinstance(name, str) else UNTUNED_KEY)


def shift_to(wanted: Key, own: Key, source: str) -> int:
    """Semitones, -5 to 6, that bring the own key's tonic to the wanted one's. InputError for another mode."""
    if {*wanted.degrees} != {*own.degrees}:
        raise InputError(
            f"key {wanted}: {source} composes in {own}, and --key moves the tonic, not the mode; tune a policy for it, "
            f"with a rule book whose key is {str(wanted)!r}"
        )
    return (wanted.tonic - own.tonic - LOWEST_SHIFT) % 12 + LOWEST_SHIFT


def major_key_of(pitches: Sequence[int]) -> Key:
    """The major key that holds most of the notes, of MIDI pitches; of several the one that comes first from C up.

    Source: note_seq's Melody.get_major_key.
    """
    keys = [Key.parse(f"{tonic} major") for tonic in TONICS]
    return max(keys, key=lambda key: sum(pitch % 12 in key.pitch_classes for pitch in pitches))


def squashed(pitches: Sequence[int], own: Key, sounding: Key, vocabulary: Vocabulary) -> int:
    """Semitones from the own key to that of a primer of these MIDI pitches, and to its octave.

    What is heard lies in the octave in which the middle of its range is nearest to that of the vocabulary, as far as what
    is moved stays in MIDI's range.

    Source: note_seq's Melody.squash.
    """
    down = own.tonic - sounding.tonic
    middle = (vocabulary.min_pitch + vocabulary.max_pitch - 1) / 2
    octaves = round((middle - (min(pitches) + max(pitches)) / 2 - down) / 12)
    shift = -(down + 12 * octaves)
    while vocabulary.min_pitch + shift < 0:
        shift += 12
    while vocabulary.max_pitch + shift > 128:
        shift -= 12
    return shift


def _pitches_of(config: GenerateConfig) -> list[int]:
    """The MIDI pitches of the primer's onsets; none where it is no file."""
    if config.primer in PRIMERS or not Path(config.primer).exists():
        return []
    song = read_as_written(config.primer, config.track)
    written = Melodies([[*song.pickup, *song.melody.events[0].tolist()]], vocabulary=song.melody.vocabulary)
    pitches: list[int] = written.pitch[written.is_onset].tolist()
    return pitches
