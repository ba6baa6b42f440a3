output "bucket_name" {
  description = "The bucket that keeps the state."
  value       = aws_s3_bucket.this.bucket
}
