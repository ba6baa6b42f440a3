# Small and cheap: nodes in one zone, one NAT gateway, spare capacity; what it holds may be lost.
module "platform" {
  source = "../../modules/platform"

  environment = "dev"
  account     = var.account
  region      = "ap-southeast-1"
  departments = ["finance", "hr", "legal"]

  zones               = ["ap-southeast-1a", "ap-southeast-1b"]
  node_zones          = ["ap-southeast-1a"]
  single_nat_gateway  = true
  interface_endpoints = ["ecr.api", "ecr.dkr"] # images without the internet; others, at 9.50 USD each, by NAT

  kubernetes_version = "1.35"
  node_group = {
    instance_types = ["t3.large", "t3a.large", "m5.large", "m5a.large", "m6i.large", "m6a.large"]
    capacity_type  = "SPOT"
    desired        = 2
    disk_gb        = 30
  }

  protected          = false
  log_retention_days = 7
  monthly_limit_usd  = 301
}
