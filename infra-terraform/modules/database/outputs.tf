output "endpoint" {
  description = "Host name of the database."
  value       = aws_db_instance.this.address
}

output "port" {
  description = "Port of the database."
  value       = local.port
}

output "database_name" {
  description = "Name of the database in PostgreSQL."
  value       = aws_db_instance.this.db_name
}

output "user" {
  description = "Role that pods log in as, by IAM; role.sql makes it."
  value       = local.user
}

output "url" {
  description = "Where and as whom pods connect; no password: they log in by IAM."
  value       = "postgresql://${local.user}@${aws_db_instance.this.address}:${local.port}/${aws_db_instance.this.db_name}"
}

output "secret_arn" {
  description = "Secret with the master user's password, which RDS made and rotates; pods do not read it."
  value       = one(aws_db_instance.this.master_user_secret[*].secret_arn)
}

output "instance_identifier" {
  description = "Name of the instance."
  value       = local.name
}

output "security_group_id" {
  description = "Security group of the database."
  value       = aws_security_group.this.id
}
