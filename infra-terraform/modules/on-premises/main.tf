resource "aws_customer_gateway" "this" {
  type       = "ipsec.1"
  ip_address = var.vpn.customer_gateway_ip
  bgp_asn    = tostring(var.vpn.bgp_asn)

  tags = { Name = "${var.environment}-on-premises" }
}

resource "aws_vpn_gateway" "this" {
  vpc_id          = var.vpc_id
  amazon_side_asn = tostring(var.vpn.amazon_asn)

  tags = { Name = "${var.environment}-on-premises" }
}

# Pods and nodes have no route to on-premises, and on-premises none to them.
resource "aws_vpn_gateway_route_propagation" "internal" {
  vpn_gateway_id = aws_vpn_gateway.this.id
  route_table_id = var.internal_route_table_id
}

resource "aws_vpn_connection" "this" {
  type                = "ipsec.1"
  customer_gateway_id = aws_customer_gateway.this.id
  vpn_gateway_id      = aws_vpn_gateway.this.id

  # Both tunnels alike. AWS makes the keys; they are read from the connection, and are in the state.
  tunnel1_ike_versions                    = ["ikev2"]
  tunnel1_phase1_encryption_algorithms    = ["AES256-GCM-16"]
  tunnel1_phase2_encryption_algorithms    = ["AES256-GCM-16"]
  tunnel1_phase1_integrity_algorithms     = ["SHA2-384"]
  tunnel1_phase2_integrity_algorithms     = ["SHA2-384"]
  tunnel1_phase1_dh_group_numbers         = [20]
  tunnel1_phase2_dh_group_numbers         = [20]
  tunnel1_dpd_timeout_action              = "restart"
  tunnel1_enable_tunnel_lifecycle_control = true

  tunnel2_ike_versions                    = ["ikev2"]
  tunnel2_phase1_encryption_algorithms    = ["AES256-GCM-16"]
  tunnel2_phase2_encryption_algorithms    = ["AES256-GCM-16"]
  tunnel2_phase1_integrity_algorithms     = ["SHA2-384"]
  tunnel2_phase2_integrity_algorithms     = ["SHA2-384"]
  tunnel2_phase1_dh_group_numbers         = [20]
  tunnel2_phase2_dh_group_numbers         = [20]
  tunnel2_dpd_timeout_action              = "restart"
  tunnel2_enable_tunnel_lifecycle_control = true

  tunnel1_log_options {
    cloudwatch_log_options {
      log_enabled       = true
      log_group_arn     = aws_cloudwatch_log_group.tunnels.arn
      log_output_format = "json"
    }
  }

  tunnel2_log_options {
    cloudwatch_log_options {
      log_enabled       = true
      log_group_arn     = aws_cloudwatch_log_group.tunnels.arn
      log_output_format = "json"
    }
  }

  tags = { Name = "${var.environment}-on-premises" }
}

resource "aws_cloudwatch_log_group" "tunnels" {
  name              = "/aws/vpn/${var.environment}-on-premises"
  retention_in_days = var.log_retention_days
}

resource "aws_dx_gateway" "this" {
  count = var.direct_connect != null ? 1 : 0

  name            = "${var.environment}-on-premises"
  amazon_side_asn = tostring(var.direct_connect.amazon_asn)
}

resource "aws_dx_gateway_association" "this" {
  count = var.direct_connect != null ? 1 : 0

  dx_gateway_id         = aws_dx_gateway.this[0].id
  associated_gateway_id = aws_vpn_gateway.this.id
}
