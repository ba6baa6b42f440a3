output "user_pool_id" {
  description = "ID of the user pool."
  value       = aws_cognito_user_pool.this.id
}

output "user_pool_arn" {
  description = "ARN of the user pool."
  value       = aws_cognito_user_pool.this.arn
}

output "user_pool_domain" {
  description = "First label of the login page's host name."
  value       = aws_cognito_user_pool_domain.this.domain
}

output "issuer" {
  description = "Issuer of the pool's tokens."
  value       = "https://cognito-idp.${var.region}.amazonaws.com/${aws_cognito_user_pool.this.id}"
}

output "domain_url" {
  description = "Address of the login page."
  value       = "https://${var.domain_prefix}.auth.${var.region}.amazoncognito.com"
}

output "alb_client_id" {
  description = "Client of the load balancer."
  value       = aws_cognito_user_pool_client.this["alb"].id
}

output "public_client_id" {
  description = "Client of programs on people's machines."
  value       = aws_cognito_user_pool_client.this["public"].id
}

output "argocd_client_id" {
  description = "Client of Argo CD."
  value       = aws_cognito_user_pool_client.this["argocd"].id
}

output "client_ids" {
  description = "Clients whose access tokens the gateway takes: not Argo CD's."
  value       = [for client in ["alb", "public"] : aws_cognito_user_pool_client.this[client].id]
}

output "signing_key_alias" {
  description = "Name of the key that signs the gateway's tokens."
  value       = local.signing_key_alias
  depends_on  = [aws_kms_alias.signing]
}

output "signing_key_arn" {
  description = "ARN of the key that signs the gateway's tokens."
  value       = aws_kms_key.signing.arn
}

output "iam_role_groups" {
  description = "ARN of each role that calls from on-premises, and its groups."
  value       = { for role, groups in var.on_premises_groups : local.role_arns[role] => groups }
}

output "on_premises_role_arns" {
  description = "ARNs of the roles that call from on-premises."
  value       = values(local.role_arns)
  depends_on  = [aws_iam_role.on_premises]
}
