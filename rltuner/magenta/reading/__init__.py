"""The files that Magenta's models come in, read without TensorFlow, and without running anything that is in them.

`read_variables` in `model_files` is the door. Everything is measured before memory is taken for it.
"""
