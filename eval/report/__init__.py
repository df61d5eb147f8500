"""The report of `rltuner evaluate --report`: a page, its Markdown twin, and their pictures."""
