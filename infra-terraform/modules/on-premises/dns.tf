# On-premises' DNS servers forward api. and argocd. here, and get the internal load balancer's addresses.
resource "aws_route53_resolver_endpoint" "inbound" {
  name               = "${var.environment}-from-on-premises"
  direction          = "INBOUND"
  security_group_ids = [aws_security_group.resolver.id]

  dynamic "ip_address" {
    for_each = var.internal_subnet_ids

    content {
      subnet_id = ip_address.value
    }
  }
}

resource "aws_route53_resolver_endpoint" "outbound" {
  count = length(var.forwarded_domains) > 0 ? 1 : 0

  name               = "${var.environment}-to-on-premises"
  direction          = "OUTBOUND"
  security_group_ids = [aws_security_group.resolver.id]

  dynamic "ip_address" {
    for_each = var.internal_subnet_ids

    content {
      subnet_id = ip_address.value
    }
  }
}

resource "aws_route53_resolver_rule" "forward" {
  for_each = var.forwarded_domains

  name                 = "${var.environment}-${replace(each.key, ".", "-")}"
  domain_name          = each.key
  rule_type            = "FORWARD"
  resolver_endpoint_id = aws_route53_resolver_endpoint.outbound[0].id

  dynamic "target_ip" {
    for_each = each.value

    content {
      ip = target_ip.value
    }
  }
}

resource "aws_route53_resolver_rule_association" "forward" {
  for_each = aws_route53_resolver_rule.forward

  resolver_rule_id = each.value.id
  vpc_id           = var.vpc_id
}

resource "aws_security_group" "resolver" {
  name        = "${var.environment}-resolver"
  description = "DNS from and to on-premises"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.environment}-resolver" }
}

locals {
  # DNS uses both: an answer that does not fit into a datagram is asked for again by TCP (RFC 7766).
  dns_from = { for pair in setproduct(["tcp", "udp"], var.cidrs) : "${pair[0]} ${pair[1]}" => { protocol = pair[0], cidr = pair[1] } }
  dns_to = { for pair in setproduct(["tcp", "udp"], toset(flatten(values(var.forwarded_domains)))) :
  "${pair[0]} ${pair[1]}" => { protocol = pair[0], cidr = "${pair[1]}/32" } }
}

resource "aws_vpc_security_group_ingress_rule" "dns" {
  for_each = local.dns_from

  security_group_id = aws_security_group.resolver.id
  description       = "DNS from on-premises"
  cidr_ipv4         = each.value.cidr
  ip_protocol       = each.value.protocol
  from_port         = 53
  to_port           = 53
}

resource "aws_vpc_security_group_egress_rule" "dns" {
  for_each = local.dns_to

  security_group_id = aws_security_group.resolver.id
  description       = "DNS to the servers that queries are forwarded to"
  cidr_ipv4         = each.value.cidr
  ip_protocol       = each.value.protocol
  from_port         = 53
  to_port           = 53
}
