"""One process that serves clients."""
