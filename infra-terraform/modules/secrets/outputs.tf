output "secret_names" {
  description = "Names of the secrets."
  value       = keys(var.secrets)
  depends_on  = [aws_secretsmanager_secret.this]
}
