# Network ACLs keep no state, so each tier also lets answers (ports 1024-65535) through.
locals {
  # The ports of Windows, Linux and AWS's own clients, as Amazon's guide to network ACLs has them.
  answers = { from = 1024, to = 65535 }

  # DNS uses both: an answer that does not fit into a datagram is asked for again by TCP (RFC 7766).
  dns_answers = setproduct(["tcp", "udp"], var.on_premises_dns_servers)

  acl_rules = {
    public = {
      ingress = [
        { protocol = "tcp", from = 443, to = 443, cidr = "0.0.0.0/0" }, # users to the load balancer, nodes to the NAT gateway
        { protocol = "tcp", from = 80, to = 80, cidr = "0.0.0.0/0" },   # redirected to 443
        { protocol = "tcp", from = local.answers.from, to = local.answers.to, cidr = "0.0.0.0/0" },
      ]
      egress = [
        { protocol = "tcp", from = 443, to = 443, cidr = "0.0.0.0/0" },
        { protocol = "tcp", from = local.answers.from, to = local.answers.to, cidr = "0.0.0.0/0" },
      ]
    }
    internal = {
      ingress = concat(
        [for cidr in [var.vpc_cidr, var.pod_cidr] : { protocol = "tcp", from = 443, to = 443, cidr = cidr }],
        [for cidr in [var.vpc_cidr, var.pod_cidr] : { protocol = "tcp", from = local.answers.from, to = local.answers.to, cidr = cidr }],
        flatten([for cidr in var.on_premises_cidrs : [
          { protocol = "tcp", from = 443, to = 443, cidr = cidr },
          { protocol = "udp", from = 53, to = 53, cidr = cidr },
          { protocol = "tcp", from = 53, to = 53, cidr = cidr },
        ]]),
        [for pair in local.dns_answers : { protocol = pair[0], from = local.answers.from, to = local.answers.to, cidr = "${pair[1]}/32" }],
      )
      egress = concat(
        [for cidr in [var.vpc_cidr, var.pod_cidr] : { protocol = "tcp", from = 443, to = 443, cidr = cidr }],
        [for cidr in [var.vpc_cidr, var.pod_cidr] : { protocol = "tcp", from = local.answers.from, to = local.answers.to, cidr = cidr }],
        flatten([for cidr in var.on_premises_cidrs : [
          { protocol = "tcp", from = local.answers.from, to = local.answers.to, cidr = cidr },
          { protocol = "udp", from = local.answers.from, to = local.answers.to, cidr = cidr },
        ]]),
        [for pair in local.dns_answers : { protocol = pair[0], from = 53, to = 53, cidr = "${pair[1]}/32" }],
      )
    }
    private = {
      ingress = [
        { protocol = "-1", from = 0, to = 0, cidr = var.pod_cidr },
        { protocol = "tcp", from = 443, to = 443, cidr = var.vpc_cidr },
        { protocol = "tcp", from = local.answers.from, to = local.answers.to, cidr = "0.0.0.0/0" }, # also load balancers to pods
      ]
      egress = [
        { protocol = "-1", from = 0, to = 0, cidr = var.pod_cidr },
        { protocol = "tcp", from = 443, to = 443, cidr = "0.0.0.0/0" },
        { protocol = "tcp", from = local.answers.from, to = local.answers.to, cidr = var.vpc_cidr },
      ]
    }
  }

  acl_subnets = {
    public   = aws_subnet.public
    internal = aws_subnet.internal
    private  = aws_subnet.private
  }
}

resource "aws_network_acl" "this" {
  for_each = local.acl_rules

  vpc_id     = aws_vpc.this.id
  subnet_ids = [for subnet in local.acl_subnets[each.key] : subnet.id]

  dynamic "ingress" {
    for_each = each.value.ingress

    content {
      rule_no    = 100 + 10 * ingress.key
      action     = "allow"
      protocol   = ingress.value.protocol
      from_port  = ingress.value.from
      to_port    = ingress.value.to
      cidr_block = ingress.value.cidr
    }
  }

  dynamic "egress" {
    for_each = each.value.egress

    content {
      rule_no    = 100 + 10 * egress.key
      action     = "allow"
      protocol   = egress.value.protocol
      from_port  = egress.value.from
      to_port    = egress.value.to
      cidr_block = egress.value.cidr
    }
  }

  tags = { Name = "${var.environment}-${each.key}" }
}
