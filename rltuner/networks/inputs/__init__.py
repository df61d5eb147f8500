"""What a network is told at each step: the last event, and where in the bar, the phrase and the tune the next one stands.

`heard` says what is heard, `rows` what each network makes of it, one definition for learning, composing and the kernels;
`clock` is the place in the bar. Uses `melody`.
"""
