locals {
  name   = "${var.environment}-frontend"
  master = "postgres"
  user   = "${var.environment}_frontend" # made by role.sql, which the master user runs
  port   = 5432
  logs   = ["postgresql", "upgrade"]
}

resource "aws_db_subnet_group" "this" {
  name        = local.name
  description = "Internal subnets of ${var.environment}."
  subnet_ids  = var.subnet_ids
}

resource "aws_security_group" "this" {
  name        = "${local.name}-database"
  description = "Who reaches the database."
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "pods" {
  security_group_id            = aws_security_group.this.id
  description                  = "PostgreSQL from nodes and pods"
  referenced_security_group_id = var.client_security_group_id
  from_port                    = local.port
  to_port                      = local.port
  ip_protocol                  = "tcp"
}

resource "aws_db_parameter_group" "this" {
  name_prefix = "${local.name}-"
  family      = "postgres${var.engine_version}"
  description = "TLS only; slow statements are logged."

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }

  parameter {
    name  = "log_min_duration_statement"
    value = "1000"
  }

  lifecycle {
    create_before_destroy = true
  }
}

# RDS would make these itself, and keep them for ever.
resource "aws_cloudwatch_log_group" "this" {
  for_each = toset(local.logs)

  name              = "/aws/rds/instance/${local.name}/${each.key}"
  retention_in_days = var.log_retention_days
}

# A name for each instance's last snapshot: the one before it is still there when an environment is destroyed again.
resource "terraform_data" "last_snapshot" {
  input = local.name
}

# State of the frontend (flows, sessions) where it has more than one replica. Pods log in by IAM as a role of their own, so that
# they have no password; the master user's is in Secrets Manager, and nothing in the cluster may read it.
resource "aws_db_instance" "this" {
  #checkov:skip=CKV_AWS_157:a standby is there unless an environment says that it needs none
  #checkov:skip=CKV_AWS_293:deletion protection is on unless an environment says that it may go, as dev does
  #checkov:skip=CKV_AWS_118:Enhanced Monitoring shows the host; what users feel is seen by alarms on the instance.
  #checkov:skip=CKV_AWS_354:Performance data holds statements of one application, encrypted by the account's key.
  identifier = local.name

  engine               = "postgres"
  engine_version       = var.engine_version
  instance_class       = var.instance_class
  multi_az             = var.multi_az
  parameter_group_name = aws_db_parameter_group.this.name

  db_name                             = "langflow"
  username                            = local.master
  manage_master_user_password         = true
  iam_database_authentication_enabled = true

  storage_type          = "gp3"
  storage_encrypted     = true
  allocated_storage     = var.allocated_gb
  max_allocated_storage = var.allocated_gb * 5

  db_subnet_group_name   = aws_db_subnet_group.this.name
  vpc_security_group_ids = [aws_security_group.this.id]
  publicly_accessible    = false
  port                   = local.port

  backup_retention_period         = 7
  backup_window                   = "18:00-19:00"
  maintenance_window              = "sun:19:30-sun:20:30"
  auto_minor_version_upgrade      = true
  copy_tags_to_snapshot           = true
  deletion_protection             = var.deletion_protection
  skip_final_snapshot             = !var.deletion_protection
  final_snapshot_identifier       = var.deletion_protection ? "${local.name}-final-${terraform_data.last_snapshot.id}" : null
  enabled_cloudwatch_logs_exports = local.logs
  performance_insights_enabled    = true

  depends_on = [aws_cloudwatch_log_group.this]
}
