"""Listening studies: from checkpoints to clips, a page that people listen in, and the statistics of their answers.

A *study* is a folder. `plan` is what its study.toml says, `stimuli` renders the clips, `folder` reads and freezes it,
`schedule` draws who hears what, `server` serves the pages, `store` keeps the answers, `analysis` makes the figures.
Uses `generating` (audio), `eval` (sources of melodies), `melody` and `storing`.
"""
