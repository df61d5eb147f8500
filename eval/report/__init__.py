"""The report of `rltuner evaluate --report`: a page, its Markdown twin, and their pictures.

Uses the rest of `eval`, where `command` alone uses it.
"""
