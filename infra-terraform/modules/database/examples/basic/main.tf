module "database" {
  source = "../.."

  environment              = "prod"
  vpc_id                   = "vpc-0a1b2c3d4e5f60718"
  subnet_ids               = ["subnet-0a1b2c3d4e5f60711", "subnet-0a1b2c3d4e5f60712"]
  client_security_group_id = "sg-0a1b2c3d4e5f60713"
}
