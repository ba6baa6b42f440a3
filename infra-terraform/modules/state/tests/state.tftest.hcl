provider "aws" {
  region                      = "ap-southeast-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  skip_region_validation      = true
}

variables {
  bucket_name = "example-company-terraform-state"
}

run "the_state_is_versioned_encrypted_and_private" {
  command = plan

  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled"
    error_message = "An earlier state must be kept."
  }

  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default[0].sse_algorithm == "AES256"
    error_message = "The state must be encrypted."
  }

  assert {
    condition     = aws_s3_bucket_public_access_block.this.block_public_acls && aws_s3_bucket_public_access_block.this.block_public_policy && aws_s3_bucket_public_access_block.this.ignore_public_acls && aws_s3_bucket_public_access_block.this.restrict_public_buckets
    error_message = "The bucket must be private."
  }
}

run "wrong_names_are_refused" {
  command = plan

  variables {
    bucket_name = "Terraform_State"
  }

  expect_failures = [var.bucket_name]
}

run "another_account_reaches_its_own_environments_states_alone" {
  command = plan

  variables {
    environment_accounts = { "444455556666" = ["prod"] }
  }

  override_resource {
    target          = aws_s3_bucket.this
    override_during = plan
    values          = { arn = "arn:aws:s3:::example-company-terraform-state" }
  }

  assert {
    condition = [for statement in jsondecode(aws_s3_bucket_policy.this.policy).Statement : [statement.Action, statement.Resource] if statement.Effect == "Allow"] == [
      [["s3:ListBucket"], ["arn:aws:s3:::example-company-terraform-state"]],
      [["s3:GetObject", "s3:PutObject"], ["arn:aws:s3:::example-company-terraform-state/prod/*.tfstate"]],
      [["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], ["arn:aws:s3:::example-company-terraform-state/prod/*.tfstate.tflock"]],
    ]
    error_message = "Another account must reach the states of its own environments, and no other."
  }
}

run "wrong_accounts_are_refused" {
  command = plan

  variables {
    environment_accounts = { "444455556666" = ["*"] }
  }

  expect_failures = [var.environment_accounts]
}
