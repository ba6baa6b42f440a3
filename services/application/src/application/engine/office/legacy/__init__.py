"""Workbooks in formats that are read, but not written: their results are ``.xlsx``."""
