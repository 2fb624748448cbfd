"""A whole graph as one file: written from one store, read into another."""
