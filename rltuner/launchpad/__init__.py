"""The launchpad: a learner and a person compose bar by bar on one grid of buttons.

The system of "Reinforcement Learning DJ: Note-Beat Navigation using Deep Q Learning" (Hazon, Palamuttam and Voss). A
state of the board plays one bar of music; every press of a button changes it. `board` is the beat domain, `music` the
bars of real music, `rewards` how near a bar is to them, `environments` boards to learn on, `learning` deep Q-learning,
`exploring` the tabular experiment, `playing` the page.
"""
