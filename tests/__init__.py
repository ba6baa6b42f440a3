"""Tests of several services together. A package, so that tests/operator is not the standard library's `operator`."""
