"""A client's connection: an asyncio shell around a session."""
