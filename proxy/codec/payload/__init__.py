"""Payloads: JSON and msgpack bytes <-> a tree of plain values."""
