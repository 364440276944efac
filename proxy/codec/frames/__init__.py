"""Arrays and frames of numpy, pandas and Arrow, read from their pickles without these libraries."""
