"""A trained system leaves the library as a graph with a verdict: it is proved to be the run, or not written."""
