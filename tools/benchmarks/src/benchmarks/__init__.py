"""Measures what the system promises: throughput, memory, cost of a call."""
