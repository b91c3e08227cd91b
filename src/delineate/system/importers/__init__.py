"""Published weights of other projects are read into systems of ours."""

from delineate.system.importers.darknet import import_darknet
from delineate.system.importers.torchvision import import_torchvision
from delineate.system.importers.transformers import import_transformers

__all__ = ["import_darknet", "import_torchvision", "import_transformers"]
