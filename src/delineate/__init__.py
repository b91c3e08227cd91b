"""delineate: every landmark system for finding things in pictures, trainable, checked and comparable."""

__version__ = "0.1.0"
