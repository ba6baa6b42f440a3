output "push_role_arn" {
  description = "Role that workflows assume to push images."
  value       = "arn:${data.aws_partition.current.partition}:iam::${var.account_id}:role/${aws_iam_role.push.name}"
}

output "terraform_role_arns" {
  description = "Roles that workflows assume for Terraform: plan and apply."
  value       = { for key, role in aws_iam_role.terraform : key => "arn:${data.aws_partition.current.partition}:iam::${var.account_id}:role/${role.name}" }
}
