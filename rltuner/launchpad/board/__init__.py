"""The beat domain: what buttons there are, what a state plays, and that as MIDI."""
