"""Selective search (Uijlings et al. 2013): the segments of a picture, grouped by what is alike."""
