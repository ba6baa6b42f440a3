output "queue_name" {
  description = "Queue of jobs."
  value       = local.queue_name
}

output "queue_url" {
  description = "URL of the queue of jobs."
  value       = aws_sqs_queue.jobs.url
}

output "queue_arn" {
  description = "ARN of the queue of jobs."
  value       = "${local.sqs_arn}:${local.queue_name}"
}

output "dead_letter_queue_name" {
  description = "Queue of what was received ten times."
  value       = local.dead_letter_name
}

output "dead_letter_queue_arn" {
  description = "ARN of the queue of what was received ten times."
  value       = "${local.sqs_arn}:${local.dead_letter_name}"
}

output "jobs_table_name" {
  description = "The application's table."
  value       = local.jobs_table
}

output "jobs_table_arn" {
  description = "ARN of the application's table."
  value       = "${local.dynamodb_arn}/${local.jobs_table}"
}

output "exchanges_table_name" {
  description = "The gateway's table of used exchanges."
  value       = local.exchanges_table
}

output "exchanges_table_arn" {
  description = "ARN of the gateway's table of used exchanges."
  value       = "${local.dynamodb_arn}/${local.exchanges_table}"
}
