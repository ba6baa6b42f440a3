output "topic_arn" {
  description = "Topic that alarms are sent to."
  value       = local.topic_arn
  depends_on  = [aws_sns_topic.alarms]
}

output "dashboard_name" {
  description = "Name of the dashboard."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}
