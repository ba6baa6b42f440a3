provider "aws" {
  region                      = "ap-southeast-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  skip_region_validation      = true
}

variables {
  environment         = "prod"
  account_id          = "111122223333"
  region              = "ap-southeast-1"
  zones               = ["ap-southeast-1a", "ap-southeast-1b", "ap-southeast-1c"]
  node_zones          = ["ap-southeast-1a", "ap-southeast-1b", "ap-southeast-1c"]
  on_premises_cidrs   = ["192.168.0.0/16"]
  interface_endpoints = ["ecr.api", "ecr.dkr", "sts"]
}

run "three_zones_have_subnets_of_each_tier_and_a_nat_gateway_each" {
  command = plan

  assert {
    condition     = { for zone, subnet in aws_subnet.public : zone => subnet.cidr_block } == { ap-southeast-1a = "10.0.1.0/24", ap-southeast-1b = "10.0.2.0/24", ap-southeast-1c = "10.0.3.0/24" }
    error_message = "Public subnets must be 10.0.1.0/24 to 10.0.3.0/24."
  }

  assert {
    condition     = { for zone, subnet in aws_subnet.internal : zone => subnet.cidr_block } == { ap-southeast-1a = "10.0.11.0/24", ap-southeast-1b = "10.0.12.0/24", ap-southeast-1c = "10.0.13.0/24" }
    error_message = "Internal subnets must be 10.0.11.0/24 to 10.0.13.0/24."
  }

  assert {
    condition     = { for zone, subnet in aws_subnet.private : zone => subnet.cidr_block } == { ap-southeast-1a = "100.64.0.0/20", ap-southeast-1b = "100.64.16.0/20", ap-southeast-1c = "100.64.32.0/20" }
    error_message = "Private subnets must be the first three /20 of 100.64.0.0/16."
  }

  assert {
    condition     = keys(aws_nat_gateway.this) == ["ap-southeast-1a", "ap-southeast-1b", "ap-southeast-1c"]
    error_message = "Each node zone must have a NAT gateway."
  }

  assert {
    condition     = alltrue([for subnet in concat(values(aws_subnet.private), values(aws_subnet.internal), values(aws_subnet.public)) : !subnet.map_public_ip_on_launch])
    error_message = "No subnet may hand out public addresses."
  }

  assert {
    condition     = alltrue([for acl in aws_network_acl.this : length(acl.ingress) > 0 && length(acl.ingress) <= 20 && length(acl.egress) <= 20])
    error_message = "A network ACL holds at most 20 rules each way."
  }

  assert {
    condition     = alltrue([for rule in aws_network_acl.this["internal"].ingress : rule.cidr_block != "0.0.0.0/0"])
    error_message = "The internet must not reach the internal subnets."
  }

  assert {
    condition     = alltrue([for rule in aws_network_acl.this["private"].ingress : !startswith(rule.cidr_block, "192.168.")])
    error_message = "On-premises must reach the internal subnets only."
  }

  assert {
    condition     = alltrue([for endpoint in values(aws_vpc_endpoint.interface) : strcontains(endpoint.policy, "\"aws:PrincipalAccount\":\"111122223333\"")])
    error_message = "Endpoints must be for principals of this account."
  }

  assert {
    condition     = strcontains(aws_vpc_endpoint.s3.policy, "\"aws:ResourceAccount\":\"111122223333\"") && strcontains(aws_vpc_endpoint.s3.policy, "prod-ap-southeast-1-starport-layer-bucket") && strcontains(aws_vpc_endpoint.s3.policy, "prod-registry-k8s-io-ap-southeast-1")
    error_message = "The S3 endpoint must reach the account's own buckets and the image layers of ECR and registry.k8s.io."
  }

  assert {
    condition     = aws_flow_log.this.traffic_type == "ALL" && aws_cloudwatch_log_group.flow.retention_in_days == 30
    error_message = "All traffic must be logged and kept for 30 days."
  }

  assert {
    condition     = toset(flatten([for statement in jsondecode(aws_iam_role_policy.flow.policy).Statement : statement.Action])) == toset(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogGroups", "logs:DescribeLogStreams", "logs:PutLogEvents"])
    error_message = "The flow logs' role must have what AWS lists as the least: docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html"
  }

  assert {
    condition     = length(aws_default_security_group.this.ingress) == 0 && length(aws_default_security_group.this.egress) == 0
    error_message = "The default security group must let nothing through."
  }
}

run "dev_has_subnets_in_two_zones_and_one_nat_gateway" {
  command = plan

  variables {
    environment        = "dev"
    zones              = ["ap-southeast-1a", "ap-southeast-1b"]
    node_zones         = ["ap-southeast-1a"]
    single_nat_gateway = true
  }

  assert {
    condition     = length(aws_subnet.private) == 2 && keys(aws_nat_gateway.this) == ["ap-southeast-1a"] && length(aws_route.nat) == 2
    error_message = "Two zones of subnets must share one NAT gateway."
  }

  assert {
    condition     = keys(output.node_subnet_ids) == ["ap-southeast-1a"]
    error_message = "Nodes must run in one zone."
  }
}

run "a_zone_keeps_its_addresses_whatever_others_there_are" {
  command = plan

  variables {
    zones      = ["ap-southeast-1a", "ap-southeast-1c"]
    node_zones = ["ap-southeast-1c"]
  }

  assert {
    condition     = aws_subnet.public["ap-southeast-1c"].cidr_block == "10.0.3.0/24" && aws_subnet.private["ap-southeast-1c"].cidr_block == "100.64.32.0/20"
    error_message = "The addresses of zone c must not depend on zone b."
  }
}

run "dns_is_open_to_the_servers_that_queries_are_forwarded_to" {
  command = plan

  variables {
    on_premises_dns_servers = ["192.168.0.53"]
  }

  assert {
    condition     = toset([for rule in aws_network_acl.this["internal"].egress : "${rule.protocol} ${rule.from_port}" if rule.cidr_block == "192.168.0.53/32"]) == toset(["tcp 53", "udp 53"])
    error_message = "Queries must reach the server by UDP and TCP."
  }

  assert {
    condition     = toset([for rule in aws_network_acl.this["internal"].ingress : "${rule.protocol} ${rule.from_port} ${rule.to_port}" if rule.cidr_block == "192.168.0.53/32"]) == toset(["tcp 1024 65535", "udp 1024 65535"])
    error_message = "The server's answers must come back by UDP and TCP."
  }
}

run "an_access_list_holds_the_rules_of_as_many_networks_and_servers_as_are_taken" {
  command = plan

  variables {
    on_premises_cidrs       = ["192.168.0.0/18", "192.168.64.0/18", "192.168.128.0/18", "192.168.192.0/18"]
    on_premises_dns_servers = ["192.168.0.53", "192.168.64.53"]
  }

  assert {
    condition     = length(aws_network_acl.this["internal"].ingress) == 20 && length(aws_network_acl.this["internal"].egress) <= 20
    error_message = "A network ACL holds 20 rules each way."
  }
}

run "more_networks_and_servers_than_an_access_list_holds_are_refused" {
  command = plan

  variables {
    on_premises_cidrs       = ["192.168.0.0/18", "192.168.64.0/18", "192.168.128.0/18", "192.168.192.0/18"]
    on_premises_dns_servers = ["192.168.0.53", "192.168.64.53", "192.168.128.53"]
  }

  expect_failures = [var.on_premises_dns_servers]
}

run "one_zone_is_refused" {
  command = plan

  variables {
    zones      = ["ap-southeast-1a"]
    node_zones = ["ap-southeast-1a"]
  }

  expect_failures = [var.zones]
}

run "wrong_values_are_refused" {
  command = plan

  variables {
    environment             = "Production"
    account_id              = "1111"
    node_zones              = ["ap-southeast-1d"]
    vpc_cidr                = "10.0.0.0/20"
    pod_cidr                = "10.1.0.0/16"
    on_premises_cidrs       = ["on-premises"]
    interface_endpoints     = ["s3"]
    flow_log_retention_days = 31
  }

  expect_failures = [
    var.environment, var.account_id, var.node_zones, var.vpc_cidr, var.pod_cidr, var.on_premises_cidrs, var.interface_endpoints, var.flow_log_retention_days,
  ]
}
