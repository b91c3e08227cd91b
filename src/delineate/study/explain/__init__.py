"""An explanation shows what a system did with one picture, stage by stage, as pictures with a line each."""

from delineate.study.explain.explain import explain, paper_line, write_explanation

__all__ = ["explain", "paper_line", "write_explanation"]
