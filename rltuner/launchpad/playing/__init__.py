"""The page on which a person and a policy play together: the game, its clock, its server, MIDI ports and pads."""
