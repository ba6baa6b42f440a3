provider "aws" {
  region                      = "ap-southeast-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  skip_region_validation      = true
}

variables {
  environment              = "prod"
  vpc_id                   = "vpc-0a1b2c3d4e5f60718"
  subnet_ids               = ["subnet-0a1b2c3d4e5f60711", "subnet-0a1b2c3d4e5f60712"]
  client_security_group_id = "sg-0a1b2c3d4e5f60713"
}

run "database_is_private_encrypted_and_survives_a_zone" {
  command = plan

  assert {
    condition     = aws_db_instance.this.storage_encrypted && !aws_db_instance.this.publicly_accessible && aws_db_instance.this.multi_az && aws_db_instance.this.deletion_protection
    error_message = "The database must be encrypted, private, in two zones, and protected."
  }

  assert {
    condition     = aws_db_instance.this.iam_database_authentication_enabled && aws_db_instance.this.manage_master_user_password
    error_message = "Pods must log in by IAM, and no password be in the state."
  }

  assert {
    condition     = output.user == "prod_frontend" && aws_db_instance.this.username != output.user
    error_message = "Pods must not log in as the master user, who has rds_superuser."
  }

  assert {
    condition     = { for parameter in aws_db_parameter_group.this.parameter : parameter.name => parameter.value }["rds.force_ssl"] == "1"
    error_message = "TLS must be demanded."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.pods.from_port == 5432 && aws_vpc_security_group_ingress_rule.pods.referenced_security_group_id == "sg-0a1b2c3d4e5f60713"
    error_message = "Only nodes and pods may connect."
  }

  assert {
    condition     = aws_db_subnet_group.this.subnet_ids == toset(var.subnet_ids) && aws_db_instance.this.db_subnet_group_name == "prod-frontend" && aws_security_group.this.vpc_id == var.vpc_id
    error_message = "The database must stand in the subnets that are given, behind a security group of its own."
  }
}

run "logs_are_kept_for_a_time_and_snapshots_have_names_of_their_own" {
  command = plan

  variables {
    log_retention_days = 90
  }

  assert {
    condition     = { for group in aws_cloudwatch_log_group.this : group.name => group.retention_in_days } == { "/aws/rds/instance/prod-frontend/postgresql" = 90, "/aws/rds/instance/prod-frontend/upgrade" = 90 }
    error_message = "Each log that RDS exports must have a group with a retention, by the name that RDS writes to."
  }

  assert {
    condition     = toset(aws_db_instance.this.enabled_cloudwatch_logs_exports) == toset(keys(aws_cloudwatch_log_group.this))
    error_message = "Each exported log must have its group."
  }

  assert {
    condition     = terraform_data.last_snapshot.input == "prod-frontend" && !aws_db_instance.this.skip_final_snapshot
    error_message = "A protected database must leave a snapshot."
  }
}

run "one_subnet_is_refused" {
  command = plan

  variables {
    subnet_ids = ["subnet-0a1b2c3d4e5f60711"]
  }

  expect_failures = [var.subnet_ids]
}

run "less_than_gp3_begins_with_is_refused" {
  command = plan

  variables {
    allocated_gb = 10
  }

  expect_failures = [var.allocated_gb]
}

run "class_of_ec2_is_refused" {
  command = plan

  variables {
    instance_class = "t4g.small"
  }

  expect_failures = [var.instance_class]
}

run "minor_version_is_refused" {
  command = plan

  variables {
    engine_version = "17.2"
  }

  expect_failures = [var.engine_version]
}
