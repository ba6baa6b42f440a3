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
  nat_gateway_ids         = { ap-southeast-1a = "nat-0a", ap-southeast-1b = "nat-0b" }
  certificate_arn         = "arn:aws:acm:ap-southeast-1:111122223333:certificate/0a1b2c3d-0000-0000-0000-000000000000"

  target_group_arn_suffixes = {
    frontend              = "targetgroup/dev-frontend/73e2d6bc24d8a067"
    agentgateway          = "targetgroup/dev-agentgateway/83e2d6bc24d8a067"
    agentgateway-internal = "targetgroup/dev-agentgateway-internal/93e2d6bc24d8a067"
  }
}

run "alarms_are_on_what_people_feel_and_go_to_the_topic" {
  command = plan

  assert {
    condition = keys(aws_cloudwatch_metric_alarm.this) == [
      "agentgateway-down", "agentgateway-slow", "certificate-expires", "department-data-stale", "department-unreachable", "errors", "frontend-down", "frontend-slow",
      "jobs-dead", "jobs-wait", "load-balancer-errors", "metrics-missing", "nodes-failed", "pods-crash", "table-throttled", "workloads-unavailable",
    ]
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

run "dashboard_shows_all_its_widgets" {
  command = plan

  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets) == 12
    error_message = "The dashboard must show its twelve widgets."
  }
}

run "each_objective_has_an_alarm_where_it_is_asked_for" {
  command = plan

  variables {
    burn_alarms = true
  }

  assert {
    condition     = keys(aws_cloudwatch_composite_alarm.objective) == ["availability-budget", "latency-budget", "results-budget"]
    error_message = "Each objective must have one alarm."
  }

  assert {
    condition     = length(regexall("ALARM\\(\"dev-results-budget-(fast|medium|slow)-(long|short)\"\\)", aws_cloudwatch_composite_alarm.objective["results-budget"].alarm_rule)) == 6
    error_message = "An objective's alarm must look at each of its windows."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.window["results-budget-medium-long"].threshold == 30
    error_message = "Six times the 5 % that may be late must be 30 %."
  }
}

run "one_alarm_looks_at_all_nat_gateways" {
  command = plan

  assert {
    condition     = { for query in aws_cloudwatch_metric_alarm.nat.metric_query : query.id => try(query.metric[0].dimensions["NatGatewayId"], query.expression) } == { gateway0 = "nat-0a", gateway1 = "nat-0b", all = "SUM(METRICS())" }
    error_message = "The alarm must sum all gateways."
  }
}

run "vpn_has_an_alarm_where_there_is_one" {
  command = plan

  variables {
    vpn_connection_ids = { on-premises = "vpn-1" }
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["vpn-tunnel-down"].dimensions == tomap({ VpnId = "vpn-1" })
    error_message = "The connection's tunnels must be watched."
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

run "address_without_a_host_is_refused" {
  command = plan

  variables {
    alert_emails = ["platform"]
  }

  expect_failures = [var.alert_emails]
}
