"""Files that are whole or not there, what a run's files are called, and the machine."""
