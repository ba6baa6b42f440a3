"""Tests that share one page and one browser, which are stopped after the last of them."""
