"""Two families or more use these learnable pieces."""
