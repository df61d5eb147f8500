"""A checkpoint's melodies as files: MIDI, audio, piano rolls and MusicXML, with a manifest of how they came about.

Uses `eval` (the metrics in the manifest), `networks`, `rules`, `reading`, `melody` and `storing`.
"""
