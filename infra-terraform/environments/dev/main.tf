# Small and cheap: nodes in one zone, one NAT gateway, spare capacity; what it holds may be lost.
module "platform" {
  source = "../../modules/platform"

  environment = "dev"
  account     = var.account
  region      = "ap-southeast-1"
  departments = "${path.root}/../../../base/departments"

  zones               = ["ap-southeast-1a", "ap-southeast-1b"]
  node_zones          = ["ap-southeast-1a"]
  single_nat_gateway  = true
  interface_endpoints = ["ecr.api", "ecr.dkr"] # images without the internet; others, at 9.50 USD each, by NAT

  # Raised together by the bot; docs/deployment.md, Upgrades.
  kubernetes_version   = "1.35"
  node_release_version = "1.35.6-20260714"
  addon_versions = {
    amazon-cloudwatch-observability = "v6.2.0-eksbuild.1"
    coredns                         = "v1.14.2-eksbuild.4"
    eks-pod-identity-agent          = "v1.3.10-eksbuild.3"
    kube-proxy                      = "v1.35.3-eksbuild.13"
    metrics-server                  = "v0.8.1-eksbuild.6"
    vpc-cni                         = "v1.22.4-eksbuild.3"
  }

  node_group = {
    instance_types = ["t3.large", "t3a.large", "m5.large", "m5a.large", "m6i.large", "m6a.large"]
    capacity_type  = "SPOT"
    desired        = 2
    disk_gb        = 30
  }

  # In prod also "audit", which is most of them, and an observation each minute.
  control_plane_logs         = ["api", "authenticator", "controllerManager", "scheduler"]
  container_insights_seconds = 300

  protected          = false
  log_retention_days = 7
  monthly_limit_usd  = 301
}
