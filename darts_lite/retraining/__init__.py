"""Trains and tests the discrete net."""
