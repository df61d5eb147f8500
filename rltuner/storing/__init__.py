"""What must survive a crash: files written whole or not at all, checkpoints, the state of a run, locks and folders.

It knows nothing of music. Uses nothing but the modules beside the rooms.
"""
