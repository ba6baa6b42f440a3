locals {
  root = one([
    for manifest in values(data.kustomization_build.cluster.manifests) : jsondecode(manifest) if jsondecode(manifest).kind == "Application"
  ])
}

data "kustomization_build" "cluster" {
  path = "${local.repository}/clusters/${var.environment}"
}

# The hand-over. It has no finalizer: where it goes, nothing that runs goes with it. The root deploys itself too, from Git, and
# Argo CD takes from what it applies the annotation by which kustomization_resource would know it again: hence not one.
resource "terraform_data" "root" {
  input            = local.kubeconfig # of no secrets; a destroy knows no other values
  triggers_replace = [terraform_data.install.id]

  provisioner "local-exec" {
    command     = "${path.module}/root.sh apply"
    environment = { KUBECONFIG_CONTENT = self.input, CLUSTER = data.kustomization_build.cluster.path }
  }

  provisioner "local-exec" {
    when        = destroy
    command     = "${path.module}/root.sh delete"
    environment = { KUBECONFIG_CONTENT = self.input }
  }

  depends_on = [kustomization_resource.facts, kustomization_resource.login, kustomization_resource.repository, terraform_data.address]
}
