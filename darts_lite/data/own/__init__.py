"""Data of users: a data module of Lightning, in pairs of batches."""
