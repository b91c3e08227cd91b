"""Results become pictures, curves and reports."""

from delineate.viz.curves import plot_confusion, plot_curves
from delineate.viz.grid import comparison_grid, legend, write_picture
from delineate.viz.overlay import draw_label_map, draw_target
from delineate.viz.palette import palette
from delineate.viz.proposals import draw_proposals
from delineate.viz.report import Report, write_report
from delineate.viz.scaling import beside_truth, fitted
from delineate.viz.scripts import illegible

__all__ = [
    "Report",
    "beside_truth",
    "comparison_grid",
    "draw_label_map",
    "draw_proposals",
    "draw_target",
    "fitted",
    "illegible",
    "legend",
    "palette",
    "plot_confusion",
    "plot_curves",
    "write_picture",
    "write_report",
]
