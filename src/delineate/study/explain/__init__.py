"""An explanation shows what a system did with one picture, stage by stage, as pictures with a line each."""

from delineate.study.explain.explain import Origin, explain, origin, write_explanation

__all__ = ["Origin", "explain", "origin", "write_explanation"]
