"""S3, SQS and DynamoDB."""
