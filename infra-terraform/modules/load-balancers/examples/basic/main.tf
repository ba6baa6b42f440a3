module "load_balancers" {
  source = "../.."

  environment           = "prod"
  vpc_id                = "vpc-0a"
  public_subnet_ids     = ["subnet-0a", "subnet-0b", "subnet-0c"]
  internal_subnet_ids   = ["subnet-1a", "subnet-1b", "subnet-1c"]
  domain                = "files.example.com"
  hosted_zone_id        = "Z0123456789ABCDEFGHIJ"
  pod_security_group_id = "sg-0a"
  access_logs_bucket    = "prod-file-processing-logs-111122223333"
  on_premises_cidrs     = ["192.168.0.0/16"]

  cognito = {
    user_pool_arn    = "arn:aws:cognito-idp:ap-southeast-1:111122223333:userpool/ap-southeast-1_example"
    user_pool_domain = "prod-file-processing"
    client_id        = "example"
  }
}
