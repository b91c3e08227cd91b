"""Selective search (Uijlings et al. 2013): a picture's segments, grouped by what is alike."""

from delineate.ops.search.selective_search import selective_search

__all__ = ["selective_search"]
