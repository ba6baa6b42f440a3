output "tunnel_addresses" {
  description = "AWS's public addresses of the two tunnels."
  value       = [aws_vpn_connection.this.tunnel1_address, aws_vpn_connection.this.tunnel2_address]
}

output "vpn_connection_id" {
  description = "The connection; its configuration for the device on-premises is downloaded by this ID."
  value       = aws_vpn_connection.this.id
}

output "resolver_addresses" {
  description = "Addresses to which on-premises' DNS servers forward."
  value       = [for address in aws_route53_resolver_endpoint.inbound.ip_address : address.ip]
}

output "direct_connect_gateway_id" {
  description = "The Direct Connect gateway, for the virtual interface of the line; null without one."
  value       = one(aws_dx_gateway.this[*].id)
}
