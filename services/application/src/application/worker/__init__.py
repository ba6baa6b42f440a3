"""Runs jobs: at least once, and harmlessly."""
