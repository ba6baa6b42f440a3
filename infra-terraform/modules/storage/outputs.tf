output "files_bucket_name" {
  description = "Bucket of people's files and results."
  value       = local.names["files"]
  depends_on  = [aws_s3_bucket_policy.this]
}

output "files_bucket_arn" {
  description = "ARN of the bucket of people's files and results."
  value       = local.arns["files"]
}

output "department_data_bucket_name" {
  description = "Bucket of the departments' data."
  value       = local.names["department-data"]
  depends_on  = [aws_s3_bucket_policy.this]
}

output "department_data_bucket_arn" {
  description = "ARN of the bucket of the departments' data."
  value       = local.arns["department-data"]
}

output "logs_bucket_name" {
  description = "Bucket of access logs, prefixes alb/ and s3/."
  value       = local.names["logs"]
  depends_on  = [aws_s3_bucket_policy.this]
}

output "logs_bucket_arn" {
  description = "ARN of the bucket of access logs, prefixes alb/ and s3/."
  value       = local.arns["logs"]
}
