"""The pictures of a data set are divided into parts to train on, to validate on and to test with."""
