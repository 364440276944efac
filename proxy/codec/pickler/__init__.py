"""Payload tree -> pickle, without importing the classes that the pickle names."""
