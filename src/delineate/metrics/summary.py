"""A person looks at few metrics first."""

import re
from collections.abc import Mapping

PARTIAL = re.compile(r"(^|_)AR\d*($|_)|_(small|medium|large)$")


def main_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """Choose the metrics of the whole: not those of classes, `IoU/NAME`, nor COCO's of one size and of recall."""
    return {name: value for name, value in metrics.items() if "/" not in name and not PARTIAL.search(name)}
