"""Pickle -> inert nodes. The machine imports no module, calls no function and creates no object of a class."""
