resource "aws_security_group" "this" {
  #checkov:skip=CKV2_AWS_5:it is attached, by each.key
  for_each = local.load_balancers

  name        = "${var.environment}-${each.key}-load-balancer"
  description = "The ${each.key} load balancer"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.environment}-${each.key}-load-balancer" }
}

resource "aws_vpc_security_group_ingress_rule" "internet" {
  #checkov:skip=CKV_AWS_260:port 80 answers with the address on 443, and nothing else
  for_each = { https = 443, http = 80 }

  security_group_id = aws_security_group.this["public"].id
  description       = "Users; what comes by HTTP is sent to HTTPS"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = each.value
  to_port           = each.value
}

resource "aws_vpc_security_group_ingress_rule" "on_premises" {
  for_each = var.on_premises_cidrs

  security_group_id = aws_security_group.this["internal"].id
  description       = "HTTPS from on-premises"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_ingress_rule" "pods_to_internal" {
  security_group_id            = aws_security_group.this["internal"].id
  description                  = "HTTPS from pods, for which api. is the internal load balancer"
  referenced_security_group_id = var.pod_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_egress_rule" "login" {
  security_group_id = aws_security_group.this["public"].id
  description       = "Cognito's token endpoint, which is on the internet"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

locals {
  # Each load balancer to each port of its target groups, once.
  to_pods = merge([
    for name, group in local.target_groups : { "${group.load_balancer} ${group.port}" = { load_balancer = group.load_balancer, port = group.port } }
  ]...)
}

resource "aws_vpc_security_group_egress_rule" "to_pods" {
  for_each = local.to_pods

  security_group_id            = aws_security_group.this[each.value.load_balancer].id
  description                  = "Pods and their health"
  referenced_security_group_id = var.pod_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_ingress_rule" "from_load_balancer" {
  for_each = local.to_pods

  security_group_id            = var.pod_security_group_id
  description                  = "From the ${each.value.load_balancer} load balancer"
  referenced_security_group_id = aws_security_group.this[each.value.load_balancer].id
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}
