module "on_premises" {
  source = "../.."

  environment             = "prod"
  vpc_id                  = "vpc-0a"
  internal_subnet_ids     = { ap-southeast-1a = "subnet-0a", ap-southeast-1b = "subnet-0b", ap-southeast-1c = "subnet-0c" }
  internal_route_table_id = "rtb-0a"
  cidrs                   = ["192.168.0.0/16"]
  vpn                     = { customer_gateway_ip = "198.51.100.7" }
  direct_connect          = {}
  forwarded_domains       = { "corp.example.com" = ["192.168.0.53"] }
}
