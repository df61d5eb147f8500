"""Tunes as rows of features: families, catalogues, what is measured, principal components, maps of them.

Uses `eval` (metrics, sources), `networks` (hidden states), `reading` and `melody`.
"""
