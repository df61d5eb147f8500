"""Files of other people's music: ABC, MusicXML and MIDI become tunes on the grid, by one set of rules for every format.

`songs` reads one melody of a person's own, `parse` the tunes of a collection. Uses `melody`.
"""
