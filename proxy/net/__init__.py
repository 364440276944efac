"""Networking below the event loop: listeners, accepting, TLS, closing, IPC."""
