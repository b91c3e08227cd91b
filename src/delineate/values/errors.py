"""One exception stands for all that a user can mend."""


class InputError(ValueError):
    """Something the user gave is wrong; the message is one line that names the file, the field and the mend."""
