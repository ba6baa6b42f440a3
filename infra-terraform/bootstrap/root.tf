locals {
  root = one([
    for manifest in values(data.kustomization_build.cluster.manifests) : jsondecode(manifest) if jsondecode(manifest).kind == "Application"
  ])
}

data "kustomization_build" "cluster" {
  path = "${local.repository}/clusters/${var.environment}"
}

# The hand-over. It has no finalizer: where it goes, nothing that runs goes with it.
resource "kustomization_resource" "root" {
  manifest = jsonencode(local.root)

  depends_on = [kustomization_resource.facts, kustomization_resource.login, kustomization_resource.repository, terraform_data.address]
}
