"""Bars of real music, from files to 64-bit words, counted and cached."""
