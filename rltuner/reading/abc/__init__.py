"""ABC: `text` takes files and tunes apart, `fields` reads K:, M: and L:, `voice` reads the signs of a voice, `notation`
makes drafts of tunes.

Source: the ABC music standard 2.1 (abcnotation.com/wiki/abc:standard:v2.1).
"""
