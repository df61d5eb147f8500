"""Magenta's trained models: imported without TensorFlow, and exported to the tools that people already have.

`importing` and `exporting` are the doors; `reading` reads the files. Uses `networks`.
"""
