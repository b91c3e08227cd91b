"""Where to look: boxes of a picture that may hold an object."""
