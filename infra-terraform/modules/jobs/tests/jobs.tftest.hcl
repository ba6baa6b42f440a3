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
  region      = "ap-southeast-1"
}

run "what_fails_ten_times_goes_to_the_dead_letter_queue" {
  command = plan

  assert {
    condition     = jsondecode(aws_sqs_queue.jobs.redrive_policy) == { deadLetterTargetArn = output.dead_letter_queue_arn, maxReceiveCount = 10 }
    error_message = "After ten receives a message must go to the dead letter queue."
  }

  assert {
    condition     = aws_sqs_queue.jobs.sqs_managed_sse_enabled && aws_sqs_queue.dead_letter.sqs_managed_sse_enabled
    error_message = "Queues must be encrypted."
  }
}

run "tables_are_as_the_services_use_them" {
  command = plan

  assert {
    condition     = aws_dynamodb_table.jobs.hash_key == "pk" && aws_dynamodb_table.jobs.range_key == "sk" && [for index in aws_dynamodb_table.jobs.global_secondary_index : [index.name, index.hash_key, index.range_key, index.projection_type]] == [["gsi1", "gsi1pk", "gsi1sk", "ALL"]]
    error_message = "The application's table must have the keys pk and sk, and the index gsi1 of all attributes."
  }

  assert {
    condition     = aws_dynamodb_table.jobs.point_in_time_recovery[0].enabled && aws_dynamodb_table.jobs.deletion_protection_enabled
    error_message = "The application's table must have point-in-time recovery and protection from deletion."
  }

  assert {
    condition     = aws_dynamodb_table.exchanges.hash_key == "id" && aws_dynamodb_table.exchanges.ttl[0].attribute_name == "expires_at" && aws_dynamodb_table.jobs.ttl[0].attribute_name == "expires_at"
    error_message = "Items must expire by expires_at, exchanges be found by id."
  }
}

run "region_that_is_a_zone_is_refused" {
  command = plan

  variables {
    region = "ap-southeast-1a"
  }

  expect_failures = [var.region]
}

run "environment_in_capitals_is_refused" {
  command = plan

  variables {
    environment = "Dev"
  }

  expect_failures = [var.environment]
}
