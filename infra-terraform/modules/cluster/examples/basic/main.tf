module "cluster" {
  source = "../.."

  environment              = "dev"
  account_id               = "111122223333"
  region                   = "ap-southeast-1"
  kubernetes_version       = "1.35"
  control_plane_subnet_ids = ["subnet-0a", "subnet-0b"]
  node_subnet_ids          = { ap-southeast-1a = "subnet-1a" }
  node_group               = { instance_types = ["t3.large", "t3a.large"], desired = 2 }
  admin_role_arns          = ["arn:aws:iam::111122223333:role/platform-engineers"]
  node_release_version     = "1.35.6-20260714"

  addon_versions = {
    amazon-cloudwatch-observability = "v6.2.0-eksbuild.1"
    coredns                         = "v1.14.2-eksbuild.4"
    eks-pod-identity-agent          = "v1.3.10-eksbuild.3"
    kube-proxy                      = "v1.35.3-eksbuild.13"
    metrics-server                  = "v0.8.1-eksbuild.6"
    vpc-cni                         = "v1.22.4-eksbuild.3"
  }
}
