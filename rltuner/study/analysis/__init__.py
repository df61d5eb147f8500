"""From a study's answers to figures: exclusions, tests, strengths, agreement; report and CSV; simulated listeners.

Uses the rest of `study`, and nothing there uses it.
"""
