module "platform" {
  source = "../.."

  environment         = "dev"
  region              = "ap-southeast-1"
  departments         = ["finance", "hr", "legal"]
  zones               = ["ap-southeast-1a", "ap-southeast-1b"]
  node_zones          = ["ap-southeast-1a"]
  single_nat_gateway  = true
  interface_endpoints = []
  kubernetes_version  = "1.35"
  node_group          = { instance_types = ["t3.large", "t3a.large"], desired = 2 }
  monthly_limit_usd   = 301

  account = {
    id              = "111122223333"
    domain          = "dev.example.com"
    hosted_zone_id  = "Z0123456789ABCDEFGHIJ"
    alert_emails    = ["platform@example.com"]
    admin_role_arns = ["arn:aws:iam::111122223333:role/platform-engineers"]
  }
}
