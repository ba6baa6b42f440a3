"""Tests that share one stack, which is stopped after the last of them."""
