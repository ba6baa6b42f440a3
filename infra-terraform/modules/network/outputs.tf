output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
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
}

output "internal_subnet_ids" {
  description = "Subnets of the internal load balancer, endpoints, the cluster's API and databases, by zone."
  value       = { for zone, subnet in aws_subnet.internal : zone => subnet.id }
}

output "private_subnet_ids" {
  description = "Subnets of nodes and pods, by zone."
  value       = { for zone, subnet in aws_subnet.private : zone => subnet.id }
}

output "node_subnet_ids" {
  description = "The private subnets of the zones in which nodes run, by zone."
  value       = { for zone in var.node_zones : zone => aws_subnet.private[zone].id }
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
