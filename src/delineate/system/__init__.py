"""A trained system: what it is made of, how it is saved and loaded, and what it makes of pictures."""
