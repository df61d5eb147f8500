"""Files of other people's music: ABC, MusicXML and MIDI become tunes on the grid, by one set of rules for every format.

`songs` reads melodies of a person's own, `parse` the tunes of a collection; `layout` has the rules of either. Uses
`melody`.
"""
