"""The systems, one folder a family; `contract` is what all of them share."""
