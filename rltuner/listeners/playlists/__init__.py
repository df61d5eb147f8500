"""What a person meets: a playlist for a preference, melodies composed for it, and the search for a tune in their mind.

Uses `agents`, `environments`, `music`, `study` (its pages), `generating` (audio) and `networks` (particles).
"""
