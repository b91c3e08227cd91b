"""Tools for labelling draw shapes on pictures: each has a module here that reads them."""
