"""Learnable pieces that two families or more use."""
