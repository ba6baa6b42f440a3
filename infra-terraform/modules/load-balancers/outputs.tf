output "hosts" {
  description = "Host names of app, api and argocd."
  value       = local.hosts
}

output "public_alb_arn" {
  description = "The internet load balancer; it signs the identity that it passes on."
  value       = aws_lb.this["public"].arn
}

output "internal_alb_arn" {
  description = "The internal load balancer."
  value       = aws_lb.this["internal"].arn
}

output "dns_names" {
  description = "AWS's own names of the load balancers, public and internal, for names made elsewhere."
  value       = { for name, load_balancer in aws_lb.this : name => load_balancer.dns_name }
}

output "public_alb_arn_suffix" {
  description = "The internet load balancer as CloudWatch's metrics call it."
  value       = aws_lb.this["public"].arn_suffix
}

output "internal_alb_arn_suffix" {
  description = "The internal load balancer as CloudWatch's metrics call it."
  value       = aws_lb.this["internal"].arn_suffix
}

output "target_group_arn_suffixes" {
  description = "Target groups as CloudWatch's metrics call them, by service."
  value       = { for name, group in aws_lb_target_group.this : name => group.arn_suffix }
}

output "target_group_names" {
  description = "Names that manifests bind to, by service."
  value       = { for name in keys(local.target_groups) : name => "${var.environment}-${name}" }
}

output "web_acl_name" {
  description = "The firewall of the internet load balancer."
  value       = aws_wafv2_web_acl.this.name
}

output "security_group_ids" {
  description = "Security groups of the load balancers, public and internal."
  value       = { for name, group in aws_security_group.this : name => group.id }
}

output "certificate_arn" {
  description = "The load balancers' certificate."
  value       = local.certificate_arn
}
