locals {
  repository = abspath("${path.module}/../..")
  platform   = data.terraform_remote_state.environment.outputs.platform
  cluster    = local.platform.cluster

  # As `aws eks update-kubeconfig` writes it: credentials are made when they are needed, and are kept nowhere.
  kubeconfig = yamlencode({
    apiVersion      = "v1"
    kind            = "Config"
    current-context = local.cluster.name
    contexts        = [{ name = local.cluster.name, context = { cluster = local.cluster.name, user = local.cluster.name } }]
    clusters = [{
      name = local.cluster.name
      cluster = {
        server                     = local.cluster.endpoint
        certificate-authority-data = local.cluster.certificate_authority_data
      }
    }]
    users = [{
      name = local.cluster.name
      user = { exec = {
        apiVersion      = "client.authentication.k8s.io/v1beta1"
        command         = "aws"
        args            = ["--region", local.cluster.region, "eks", "get-token", "--cluster-name", local.cluster.name, "--output", "json"]
        interactiveMode = "Never"
      } }
    }]
  })
}

data "terraform_remote_state" "environment" {
  backend = "s3"

  config = {
    bucket = var.state_bucket
    key    = "${var.environment}/terraform.tfstate"
    region = "ap-southeast-1"
  }
}

# Once for a cluster. From then on Argo CD keeps itself, from Git: nothing of it is in this state.
resource "terraform_data" "install" {
  triggers_replace = [local.cluster.endpoint]

  provisioner "local-exec" {
    command     = "${path.module}/install.sh"
    environment = { KUBECONFIG_CONTENT = local.kubeconfig, REPOSITORY = local.repository, ENVIRONMENT = var.environment }
  }
}
