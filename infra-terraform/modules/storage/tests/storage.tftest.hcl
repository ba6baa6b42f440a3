provider "aws" {
  region                      = "ap-southeast-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  skip_region_validation      = true
}

variables {
  environment = "dev"
  account_id  = "111122223333"
  app_origin  = "https://app.example.com"
}

run "buckets_are_private_encrypted_versioned_and_expire" {
  command = plan

  assert {
    condition     = alltrue([for block in aws_s3_bucket_public_access_block.this : block.block_public_acls && block.block_public_policy && block.ignore_public_acls && block.restrict_public_buckets]) && length(aws_s3_bucket_public_access_block.this) == 3
    error_message = "All public access must be blocked on all three buckets."
  }

  assert {
    condition     = alltrue([for name in keys(aws_s3_bucket.this) : length(aws_s3_bucket.this[name].bucket) <= 63])
    error_message = "Names of buckets must have at most 63 characters."
  }

  assert {
    condition     = alltrue([for bucket in values(aws_s3_bucket_versioning.this) : bucket.versioning_configuration[0].status == "Enabled"])
    error_message = "Versioning must be on."
  }

  assert {
    condition     = { for rule in aws_s3_bucket_lifecycle_configuration.this["files"].rule : rule.id => rule.expiration[0].days if rule.id != "clean" } == { expire-results = 8, expire-uploads = 8 }
    error_message = "Uploads and results must expire after 8 days."
  }

  assert {
    condition     = alltrue([for bucket in values(aws_s3_bucket_lifecycle_configuration.this) : bucket.rule[0].abort_incomplete_multipart_upload[0].days_after_initiation == 1])
    error_message = "Half uploads must go after a day."
  }

  assert {
    condition     = !aws_s3_bucket.this["files"].force_destroy
    error_message = "Destroying a bucket must not delete what is in it, unless told."
  }
}

run "every_bucket_refuses_plain_http" {
  command = plan

  assert {
    condition     = alltrue([for document in values(data.aws_iam_policy_document.bucket) : contains([for statement in jsondecode(document.json).Statement : statement.Sid if statement.Effect == "Deny" && statement.Action == "s3:*"], "RefusePlainHttp")])
    error_message = "Each bucket's policy must refuse plain HTTP."
  }

  assert {
    condition     = [for statement in jsondecode(data.aws_iam_policy_document.bucket["logs"].json).Statement : statement.Resource if statement.Effect == "Allow"] == ["arn:aws:s3:::dev-logs-111122223333/alb/*", "arn:aws:s3:::dev-logs-111122223333/s3/*"]
    error_message = "Logs must be delivered under alb/ and s3/ only."
  }
}

run "origin_with_a_path_is_refused" {
  command = plan

  variables {
    app_origin = "https://app.example.com/"
  }

  expect_failures = [var.app_origin]
}

run "environment_with_a_dash_is_refused" {
  command = plan

  variables {
    environment = "my-dev"
  }

  expect_failures = [var.environment]
}

run "account_id_of_letters_is_refused" {
  command = plan

  variables {
    account_id = "mine"
  }

  expect_failures = [var.account_id]
}

run "retention_of_half_a_day_is_refused" {
  command = plan

  variables {
    file_retention_days = 0.5
  }

  expect_failures = [var.file_retention_days]
}
