provider "aws" {
  region                      = "ap-southeast-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  skip_region_validation      = true
}

variables {
  environment             = "prod"
  vpc_id                  = "vpc-0a"
  internal_subnet_ids     = { ap-southeast-1a = "subnet-0a", ap-southeast-1b = "subnet-0b", ap-southeast-1c = "subnet-0c" }
  internal_route_table_id = "rtb-0a"
  cidrs                   = ["192.168.0.0/16"]
  vpn                     = { customer_gateway_ip = "198.51.100.7" }
}

run "only_the_internal_subnets_learn_the_way" {
  command = plan

  assert {
    condition     = aws_vpn_gateway_route_propagation.internal.route_table_id == "rtb-0a"
    error_message = "Routes must go to the internal subnets alone."
  }

  assert {
    condition     = aws_vpn_connection.this.tunnel1_ike_versions == toset(["ikev2"]) && aws_vpn_connection.this.tunnel2_phase1_encryption_algorithms == toset(["AES256-GCM-16"])
    error_message = "Both tunnels must use IKEv2 and AES-256."
  }

  assert {
    condition     = length(aws_dx_gateway.this) == 0 && length(aws_route53_resolver_endpoint.outbound) == 0
    error_message = "Direct Connect and forwarding must be asked for."
  }

  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_ingress_rule.dns : rule.from_port == 53 && rule.cidr_ipv4 == "192.168.0.0/16"]) && length(aws_vpc_security_group_ingress_rule.dns) == 2
    error_message = "The resolver must answer on-premises by DNS alone."
  }

  assert {
    condition     = length(aws_vpc_security_group_egress_rule.dns) == 0 && aws_security_group.resolver.vpc_id == "vpc-0a"
    error_message = "The resolver must ask nobody on-premises unless a domain is forwarded."
  }

  assert {
    condition     = aws_customer_gateway.this.ip_address == "198.51.100.7" && aws_vpn_gateway.this.vpc_id == "vpc-0a" && aws_cloudwatch_log_group.tunnels.name == "/aws/vpn/prod-on-premises"
    error_message = "The VPN must join the device that is given with the VPC, and log what its tunnels do."
  }

  assert {
    condition     = aws_route53_resolver_endpoint.inbound.direction == "INBOUND" && toset([for address in aws_route53_resolver_endpoint.inbound.ip_address : address.subnet_id]) == toset(["subnet-0a", "subnet-0b", "subnet-0c"])
    error_message = "On-premises must find the resolver in each internal subnet."
  }
}

run "direct_connect_and_forwarded_domains_are_options" {
  command = plan

  variables {
    direct_connect    = {}
    forwarded_domains = { "corp.example.com" = ["192.168.0.53"] }
  }

  assert {
    condition     = aws_dx_gateway.this[0].amazon_side_asn == "64513" && keys(aws_route53_resolver_rule.forward) == ["corp.example.com"]
    error_message = "A Direct Connect gateway and a forwarded domain were asked for."
  }

  assert {
    condition     = { for key, rule in aws_vpc_security_group_egress_rule.dns : key => "${rule.cidr_ipv4} ${rule.to_port}" } == { "tcp 192.168.0.53" = "192.168.0.53/32 53", "udp 192.168.0.53" = "192.168.0.53/32 53" }
    error_message = "The resolver must ask the domain's server, by DNS alone."
  }

  assert {
    condition     = length(aws_dx_gateway_association.this) == 1
    error_message = "The Direct Connect gateway must lead to the VPC."
  }
}

run "wrong_values_are_refused" {
  command = plan

  variables {
    environment         = "Prod"
    internal_subnet_ids = { ap-southeast-1a = "subnet-0a" }
    cidrs               = ["0.0.0.0/0"]
    vpn                 = { customer_gateway_ip = "vpn.example.com", bgp_asn = 64512 }
  }

  expect_failures = [var.environment, var.internal_subnet_ids, var.cidrs, var.vpn]
}

run "a_domain_without_a_server_is_refused" {
  command = plan

  variables {
    forwarded_domains = { "corp.example.com" = [] }
  }

  expect_failures = [var.forwarded_domains]
}

run "a_server_that_no_route_leads_to_is_refused" {
  command = plan

  variables {
    forwarded_domains = { "corp.example.com" = ["192.168.0.53", "172.16.0.53"] }
  }

  expect_failures = [var.forwarded_domains]
}

run "a_bgp_number_is_used_once" {
  command = plan

  variables {
    direct_connect = { amazon_asn = 64512 }
  }

  expect_failures = [var.direct_connect]
}
