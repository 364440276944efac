"""The short way for the usual requests and replies."""
