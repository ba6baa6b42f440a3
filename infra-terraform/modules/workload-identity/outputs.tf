output "role_arns" {
  description = "ARN of each service's role."
  value       = { for service, role in aws_iam_role.this : service => "arn:${local.partition}:iam::${var.account_id}:role/${role.name}" }
  depends_on  = [aws_iam_role_policy.this]
}

output "department_role_arn" {
  description = "Role that all departments share; null where each has its own (irsa)."
  value       = local.irsa ? null : local.department_role_arn
  depends_on  = [aws_iam_role_policy.this]
}
