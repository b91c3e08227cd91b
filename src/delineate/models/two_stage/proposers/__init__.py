"""Every proposer gives boxes of a picture that may hold an object.

sliding_window     every place, size and shape; the picture is not looked at
selective_search   segments of the picture, grouped by what is alike
rpn                learned, from the features that the detector uses anyway

The first two are a `Search`: they run before the network, which takes their boxes as an input.
"""

from delineate.models.two_stage.proposers.rpn import RPN, Selection
from delineate.models.two_stage.proposers.selective_search import SelectiveSearch
from delineate.models.two_stage.proposers.sliding_window import SlidingWindow

__all__ = ["RPN", "Selection", "SelectiveSearch", "SlidingWindow"]
