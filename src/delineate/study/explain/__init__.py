"""What a system did with one picture, stage by stage, as pictures with a line each."""

from delineate.study.explain.explain import explain, write_explanation
from delineate.study.explain.stages import Stage

__all__ = ["Stage", "explain", "write_explanation"]
