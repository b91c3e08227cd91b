"""Grid systems: a backbone once a picture, and at every place of its maps what is there."""

from delineate.models.grid.ssd import SSD, ssd, ssd300, ssd512

__all__ = ["SSD", "ssd", "ssd300", "ssd512"]
