# What both environments use: images are built once, and promoted by copying a version file.
module "registry" {
  source = "../../modules/registry"

  account_id       = var.account.id
  region           = "ap-southeast-1"
  repositories     = [for file in fileset("${path.root}/../../../services", "*/Dockerfile") : dirname(file)]
  pull_account_ids = var.account.pull_account_ids
}

module "github" {
  source = "../../modules/github"

  account_id      = var.account.id
  repository      = "example-company/internal-file-processing-system"
  repository_arns = values(module.registry.repository_arns)
  repository_ids  = var.account.repository_ids
  create_provider = var.account.create_provider

  apply_environments   = var.account.environments
  preview_environments = [for name in var.account.environments : name if name != "prod"] # its state holds the VPN's keys
}
