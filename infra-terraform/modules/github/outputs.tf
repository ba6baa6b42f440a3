output "push_role_arn" {
  description = "Role that workflows assume to push images; null without a registry."
  value       = one([for role in aws_iam_role.push : "${local.iam}:role/${role.name}"])
}

output "terraform_role_arns" {
  description = "Roles that workflows assume for Terraform: plan, apply, and preview for pull requests."
  value       = { for key, role in aws_iam_role.terraform : key => "${local.iam}:role/${role.name}" }
}
