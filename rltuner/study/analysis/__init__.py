"""From a study's answers to figures: exclusions, tests, strengths, agreement; report and CSV; simulated listeners."""
