"""Who calls: tokens, and AWS credentials that are exchanged for one."""
