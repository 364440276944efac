"""Processes: one server, or a supervisor and its workers."""
