"""General MIDI instruments by number or name."""

from __future__ import annotations

import difflib

from rltuner.errors import InputError


def program_of(instrument: str) -> int:
    """The program, 0 to 127, of a number or a name as pretty_midi lists them, in any case: "73" or "flute".

    InputError, with the nearest names, for anything else.
    """
    from pretty_midi.constants import INSTRUMENT_MAP

    if instrument.isascii() and instrument.isdigit() and int(instrument) < len(INSTRUMENT_MAP):
        return int(instrument)
    names = {name.lower(): program for program, name in enumerate(INSTRUMENT_MAP)}
    wanted = instrument.lower().strip()
    if wanted in names:
        return names[wanted]
    alike = [name for name in names if wanted and wanted in name] or difflib.get_close_matches(
        wanted, names, n=3
    )
    near = ", ".join(INSTRUMENT_MAP[names[name]] for name in alike[:3])
    hint = f"did you mean {near}?" if near else "such as 0, 73 or 'Flute'"
    raise InputError(f"instrument {instrument!r}: give a General MIDI program, 0 to 127, or its name; {hint}")
