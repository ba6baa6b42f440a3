module "platform" {
  source = "../.."

  environment         = "dev"
  region              = "ap-southeast-1"
  departments         = "${path.module}/../../../../../base/departments"
  zones               = ["ap-southeast-1a", "ap-southeast-1b"]
  node_zones          = ["ap-southeast-1a"]
  single_nat_gateway  = true
  interface_endpoints = []
  kubernetes_version  = "1.35"
  node_group          = { instance_types = ["t3.large", "t3a.large"], desired = 2 }
  monthly_limit_usd   = 301

  node_release_version = "1.35.6-20260714"
  addon_versions = {
    amazon-cloudwatch-observability = "v6.2.0-eksbuild.1"
    coredns                         = "v1.14.2-eksbuild.4"
    eks-pod-identity-agent          = "v1.3.10-eksbuild.3"
    kube-proxy                      = "v1.35.3-eksbuild.13"
    metrics-server                  = "v0.8.1-eksbuild.6"
    vpc-cni                         = "v1.22.4-eksbuild.3"
  }

  account = {
    id              = "111122223333"
    domain          = "dev.example.com"
    hosted_zone_id  = "Z0123456789ABCDEFGHIJ"
    alert_emails    = ["platform@example.com"]
    admin_role_arns = ["arn:aws:iam::111122223333:role/platform-engineers"]
  }
}
