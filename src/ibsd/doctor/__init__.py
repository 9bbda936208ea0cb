"""Pairs examined before anyone trains on them."""
