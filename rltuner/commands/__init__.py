"""The command `rltuner`: reads the arguments, calls the library, prints. No logic of its own; one module a command.

A command's configuration lies beside what it configures. Uses every room, and nothing uses it.
"""
