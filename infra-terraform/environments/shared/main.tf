# What both environments use: images are built once, and promoted by copying a version file.
module "registry" {
  source = "../../modules/registry"

  account_id       = var.account.id
  region           = "ap-southeast-1"
  repositories     = ["agentgateway", "application", "department-operator", "frontend", "mcp-server"]
  pull_account_ids = var.account.pull_account_ids
}

module "github" {
  source = "../../modules/github"

  account_id      = var.account.id
  repository      = "example-company/internal-file-processing-system"
  repository_arns = values(module.registry.repository_arns)
}
