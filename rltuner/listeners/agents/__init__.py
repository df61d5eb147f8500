"""Agents: each one file with its equations, to be read from top to bottom.

`a2c` and `acktr` for grids, `q_table` and `dueling` for likes, `ddpg` with `autoencoders` for sessions, and what needs no
network: `optimal`, `posterior`, `coordinates`. Uses `environments`.
"""
