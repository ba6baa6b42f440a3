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
}
