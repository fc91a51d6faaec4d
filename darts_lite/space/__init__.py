"""Choices, offered and made: the protocol of spaces, operations, costs."""
