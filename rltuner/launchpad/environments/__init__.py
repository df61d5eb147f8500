"""Boards to learn on: many in lock-step, and as environments of gymnasium."""
