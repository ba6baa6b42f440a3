# Three zones with a NAT gateway each; take two of zones and one of node_zones for a small environment.
module "network" {
  source = "../.."

  environment = "prod"
  account_id  = "111122223333"
  region      = "ap-southeast-1"
  zones       = ["ap-southeast-1a", "ap-southeast-1b", "ap-southeast-1c"]
  node_zones  = ["ap-southeast-1a", "ap-southeast-1b", "ap-southeast-1c"]

  on_premises_cidrs   = ["192.168.0.0/16"]
  interface_endpoints = ["ecr.api", "ecr.dkr", "sts", "sqs", "kms", "logs", "secretsmanager"]
}
