"""The page as production runs it: three replicas on PostgreSQL and S3."""
