output "push_role_arn" {
  description = "Role that workflows assume to push images."
  value       = "arn:${data.aws_partition.current.partition}:iam::${var.account_id}:role/${aws_iam_role.push.name}"
}
