"""Models are served over HTTP: predictions, the page where people see and correct them, and what is counted."""

from delineate.serve.app import make_app
from delineate.serve.limits import Limits
from delineate.serve.models import ServedModels
from delineate.serve.running import run_server

__all__ = ["Limits", "ServedModels", "make_app", "run_server"]
