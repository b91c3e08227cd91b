"""Pictures are labelled and corrected: a journal of edits, what to correct first, and going on training."""

from delineate.label.documents import Conflict
from delineate.label.labels import Labels
from delineate.label.models import Models, OneModel
from delineate.label.opening import open_labels
from delineate.label.ordering import teaches
from delineate.label.pictures import Collection, Picture

__all__ = ["Collection", "Conflict", "Labels", "Models", "OneModel", "Picture", "open_labels", "teaches"]
