terraform {
  required_version = ">= 1.11, < 2"

  required_providers {
    kustomization = {
      source  = "kbst/kustomization"
      version = "0.9.8"
    }
  }

  # Of one environment: terraform init -backend-config=bucket=<bucket> -backend-config=key=<environment>/bootstrap.tfstate
  backend "s3" {
    region       = "ap-southeast-1"
    encrypt      = true
    use_lockfile = true
  }
}

provider "kustomization" {
  kubeconfig_raw = local.kubeconfig
}
