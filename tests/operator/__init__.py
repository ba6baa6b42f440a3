"""Tests that share one cluster, which is stopped after the last of them."""
