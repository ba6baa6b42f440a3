output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id

  # A cluster learns of addresses that are added after it only hours later.
  depends_on = [aws_vpc_ipv4_cidr_block_association.pods]
}

output "vpc_cidr" {
  description = "Addresses of load balancers, endpoints and databases."
  value       = var.vpc_cidr
}

output "pod_cidr" {
  description = "Addresses of nodes and pods."
  value       = var.pod_cidr
}

output "public_subnet_ids" {
  description = "Subnets of the internet load balancer and NAT gateways, by zone."
  value       = { for zone, subnet in aws_subnet.public : zone => subnet.id }

  # A load balancer of the internet is refused in a VPC without an internet gateway.
  depends_on = [aws_route.internet, aws_route_table_association.public, aws_network_acl.this]
}

output "internal_subnet_ids" {
  description = "Subnets of the internal load balancer, endpoints, the cluster's API and databases, by zone."
  value       = { for zone, subnet in aws_subnet.internal : zone => subnet.id }

  depends_on = [aws_vpc_ipv4_cidr_block_association.pods, aws_route_table_association.internal, aws_network_acl.this]
}

output "private_subnet_ids" {
  description = "Subnets of nodes and pods, by zone."
  value       = { for zone, subnet in aws_subnet.private : zone => subnet.id }

  depends_on = [
    aws_route.nat, aws_route_table_association.private, aws_network_acl.this,
    aws_vpc_endpoint.s3, aws_vpc_endpoint.dynamodb, aws_vpc_endpoint.interface, aws_vpc_security_group_ingress_rule.endpoints,
  ]
}

output "node_subnet_ids" {
  description = "The private subnets of the zones in which nodes run, by zone."
  value       = { for zone in var.node_zones : zone => aws_subnet.private[zone].id }

  # A node pulls images and joins the cluster as soon as it boots: whatever that takes is there before it.
  depends_on = [
    aws_route.nat, aws_route_table_association.private, aws_network_acl.this,
    aws_vpc_endpoint.s3, aws_vpc_endpoint.dynamodb, aws_vpc_endpoint.interface, aws_vpc_security_group_ingress_rule.endpoints,
  ]
}

output "internal_route_table_id" {
  description = "Route table of the internal subnets, to which routes to on-premises are added."
  value       = aws_route_table.internal.id
}

output "private_route_table_ids" {
  description = "Route tables of the private subnets, by zone."
  value       = { for zone, table in aws_route_table.private : zone => table.id }
}

output "nat_addresses" {
  description = "Public addresses from which nodes reach the internet, by zone."
  value       = { for zone, address in aws_eip.nat : zone => address.public_ip }
}

output "nat_gateway_ids" {
  description = "NAT gateways, by zone."
  value       = { for zone, gateway in aws_nat_gateway.this : zone => gateway.id }
}

output "endpoint_security_group_id" {
  description = "Security group of the interface endpoints."
  value       = aws_security_group.endpoints.id
}

output "flow_log_group_name" {
  description = "Log group of the flow logs."
  value       = aws_cloudwatch_log_group.flow.name
}
