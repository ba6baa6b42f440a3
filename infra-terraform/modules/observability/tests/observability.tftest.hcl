provider "aws" {
  region                      = "ap-southeast-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  skip_region_validation      = true
}

variables {
  environment             = "dev"
  account_id              = "111122223333"
  region                  = "ap-southeast-1"
  cluster_name            = "dev-file-processing"
  alert_emails            = ["platform@example.com"]
  public_alb_arn_suffix   = "app/dev-public/50dc6c495c0c9188"
  internal_alb_arn_suffix = "app/dev-internal/60dc6c495c0c9188"
  queue_name              = "dev-jobs"
  dead_letter_queue_name  = "dev-jobs-dead"
  jobs_table_name         = "dev-jobs"

  target_group_arn_suffixes = {
    frontend              = "targetgroup/dev-frontend/73e2d6bc24d8a067"
    agentgateway          = "targetgroup/dev-agentgateway/83e2d6bc24d8a067"
    agentgateway-internal = "targetgroup/dev-agentgateway-internal/93e2d6bc24d8a067"
  }
}

run "alarms_are_on_what_people_feel_and_go_to_the_topic" {
  command = plan

  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.this) == ["agentgateway-down", "agentgateway-slow", "errors", "frontend-down", "frontend-slow", "jobs-dead", "jobs-wait", "load-balancer-errors", "nodes-failed", "table-throttled"]
    error_message = "There must be alarms on errors, slowness, outage, waiting and dead jobs."
  }

  assert {
    condition     = alltrue([for alarm in values(aws_cloudwatch_metric_alarm.this) : alarm.alarm_actions == toset(["arn:aws:sns:ap-southeast-1:111122223333:dev-alarms"])])
    error_message = "Each alarm must be told."
  }

  assert {
    condition     = keys(aws_sns_topic_subscription.email) == ["platform@example.com"]
    error_message = "Each address must be told."
  }
}

run "logs_are_kept_for_a_time" {
  command = plan

  assert {
    condition     = alltrue([for group in values(aws_cloudwatch_log_group.this) : group.retention_in_days == 30]) && length(aws_cloudwatch_log_group.this) == 4
    error_message = "The four log groups of Container Insights must have a retention."
  }

  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets) == 6
    error_message = "The dashboard must show its six widgets."
  }
}

run "database_has_alarms_where_there_is_one" {
  command = plan

  variables {
    database_instance_identifier = "dev-frontend"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["database-full"].dimensions == tomap({ DBInstanceIdentifier = "dev-frontend" })
    error_message = "The database's storage must be watched."
  }
}

run "retention_that_cloudwatch_does_not_know_is_refused" {
  command = plan

  variables {
    log_retention_days = 10
  }

  expect_failures = [var.log_retention_days]
}

run "address_without_a_host_is_refused" {
  command = plan

  variables {
    alert_emails = ["platform"]
  }

  expect_failures = [var.alert_emails]
}
