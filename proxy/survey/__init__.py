"""The survey of a sample of keys: which rules match them, and which prefixes hold values of Flask without a rule."""
