output "name" {
  description = "Name of the cluster."
  value       = local.name

  depends_on = [aws_eks_cluster.this]
}

output "arn" {
  description = "ARN of the cluster."
  value       = "arn:${data.aws_partition.current.partition}:eks:${var.region}:${var.account_id}:cluster/${local.name}"
}

output "endpoint" {
  description = "URL of the API server."
  value       = aws_eks_cluster.this.endpoint
}

output "certificate_authority_data" {
  description = "Certificate authority of the API server, in base64."
  value       = aws_eks_cluster.this.certificate_authority[0].data
}

output "oidc_issuer_url" {
  description = "Issuer of the service accounts' tokens."
  value       = aws_eks_cluster.this.identity[0].oidc[0].issuer
}

output "traces_endpoint" {
  description = "Where pods send their traces, by OTLP over HTTP."
  value       = "http://${local.collector}.amazon-cloudwatch:${local.traces_port}"
}

output "security_group_id" {
  description = "Security group that EKS gives the control plane, nodes and pods."
  value       = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
}

output "node_role_arn" {
  description = "Role of the nodes."
  value       = aws_iam_role.node.arn
}

output "kms_key_arn" {
  description = "Key of the cluster's secrets."
  value       = aws_kms_key.secrets.arn
}

output "node_group_names" {
  description = "Names of the node groups, by zone."
  value       = { for zone in keys(var.node_subnet_ids) : zone => "${var.environment}-${zone}" }
}

output "control_plane_log_group_name" {
  description = "Log group of the control plane."
  value       = aws_cloudwatch_log_group.control_plane.name
}
