"""Northwind: the sample database of a food trader, whole."""
