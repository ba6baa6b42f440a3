output "registry_host" {
  description = "Host of the registry, which the version files name."
  value       = module.registry.registry_host
}

output "push_role_arn" {
  description = "Role by which GitHub's workflows push images."
  value       = module.github.push_role_arn
}

output "terraform_role_arns" {
  description = "Roles by which GitHub's workflows plan and apply Terraform."
  value       = module.github.terraform_role_arns
}
