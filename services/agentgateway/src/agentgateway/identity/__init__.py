"""Authenticates callers: tokens, and AWS credentials that are exchanged for one."""
