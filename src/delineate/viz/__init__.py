"""Results become pictures, curves and reports."""

from delineate.viz.confusion import plot_confusion
from delineate.viz.curves import plot_curves
from delineate.viz.grid import comparison_grid, legend, write_picture
from delineate.viz.overlay import draw_label_map, draw_target, has_ignored
from delineate.viz.palette import palette
from delineate.viz.proposals import draw_proposals
from delineate.viz.report import Exhibit, Report, write_report
from delineate.viz.scaling import beside_truth, fitted
from delineate.viz.scripts import illegible
from delineate.viz.verdicts import draw_verdicts

__all__ = [
    "Exhibit",
    "Report",
    "beside_truth",
    "comparison_grid",
    "draw_label_map",
    "draw_proposals",
    "draw_target",
    "draw_verdicts",
    "fitted",
    "has_ignored",
    "illegible",
    "legend",
    "palette",
    "plot_confusion",
    "plot_curves",
    "write_picture",
    "write_report",
]
