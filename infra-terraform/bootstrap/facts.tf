# What is of an account, and so not in Git. The services read the first, Argo CD the others.
resource "kustomization_resource" "facts" {
  manifest = jsonencode({
    apiVersion = "v1"
    kind       = "ConfigMap"
    metadata   = { name = "aws-facts", namespace = "file-processing", labels = { "app.kubernetes.io/managed-by" = "terraform" } }
    data       = local.platform.facts
  })

  depends_on = [terraform_data.install]
}

resource "kustomization_resource" "login" {
  manifest = jsonencode({
    apiVersion = "v1"
    kind       = "Secret"
    metadata   = { name = "argocd-sso", namespace = "argocd", labels = { "app.kubernetes.io/part-of" = "argocd", "app.kubernetes.io/managed-by" = "terraform" } }
    type       = "Opaque"
    # A public client: nothing of this is secret. Argo CD reads such values from Secrets only.
    data = {
      issuer   = base64encode(local.platform.argocd.issuer)
      clientID = base64encode(local.platform.argocd.client_id)
    }
  })

  depends_on = [terraform_data.install]
}

resource "kustomization_resource" "repository" {
  count = var.repository_credentials == null ? 0 : 1

  manifest = jsonencode({
    apiVersion = "v1"
    kind       = "Secret"
    metadata   = { name = "repository", namespace = "argocd", labels = { "argocd.argoproj.io/secret-type" = "repository", "app.kubernetes.io/managed-by" = "terraform" } }
    type       = "Opaque"
    data = {
      type                    = base64encode("git")
      url                     = base64encode(local.root.spec.source.repoURL)
      githubAppID             = base64encode(var.repository_credentials.app_id)
      githubAppInstallationID = base64encode(var.repository_credentials.app_installation_id)
      githubAppPrivateKey     = base64encode(var.repository_credentials.app_private_key)
    }
  })

  depends_on = [terraform_data.install]
}

# One key of a ConfigMap that is Argo CD's otherwise.
resource "terraform_data" "address" {
  triggers_replace = [terraform_data.install.id, local.platform.argocd.url]

  provisioner "local-exec" {
    command     = "${path.module}/set_address.sh"
    environment = { KUBECONFIG_CONTENT = local.kubeconfig, ADDRESS = local.platform.argocd.url }
  }
}
