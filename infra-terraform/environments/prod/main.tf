# Three of everything, so that a zone may be lost; joined to on-premises.
module "platform" {
  source = "../../modules/platform"

  environment = "prod"
  account     = var.account
  region      = "ap-southeast-1"
  departments = "${path.root}/../../../base/departments"

  zones               = ["ap-southeast-1a", "ap-southeast-1b", "ap-southeast-1c"]
  node_zones          = ["ap-southeast-1a", "ap-southeast-1b", "ap-southeast-1c"]
  interface_endpoints = ["ecr.api", "ecr.dkr", "eks-auth", "kms", "logs", "secretsmanager", "sqs", "sts"]

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
    instance_types = ["m5.2xlarge", "m5a.2xlarge", "m6i.2xlarge", "m6a.2xlarge"]
    desired        = 2
    disk_gb        = 100
  }

  on_premises = {
    cidrs          = ["192.168.0.0/16"]
    direct_connect = {}
    role_groups = {
      prod-on-premises-finance = ["finance"]
    }
  }

  database           = {}
  log_retention_days = 90
  monthly_limit_usd  = 3500 # what make cost expects, and says why
}
