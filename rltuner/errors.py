"""The one exception that means "the user can mend this"."""


class InputError(ValueError):
    """What was supplied (a file, a name, an option) cannot be used.

    The message is one line: it names the thing, the offending value and the remedy. The command line prints
    it without a traceback and exits with code 2; everything else that is raised is a defect of ours.
    """
