provider "aws" {
  region                      = "ap-southeast-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  skip_region_validation      = true
}

variables {
  environment       = "dev"
  monthly_limit_usd = 301
  alert_emails      = ["platform@example.com"]
}

run "people_are_told_before_the_month_is_over" {
  command = plan

  assert {
    condition     = { for notification in aws_budgets_budget.this.notification : notification.notification_type => notification.threshold } == { ACTUAL = 80, FORECASTED = 100 }
    error_message = "80% spent and a forecast of more than 100% must be told."
  }

  assert {
    condition     = aws_budgets_budget.this.limit_amount == "301" && one(aws_budgets_budget.this.cost_filter).values == tolist(["user:Environment$dev"])
    error_message = "The budget must be the environment's."
  }
}

run "wrong_values_are_refused" {
  command = plan

  variables {
    environment       = "Dev"
    monthly_limit_usd = 0
    alert_emails      = ["platform"]
  }

  expect_failures = [var.environment, var.monthly_limit_usd, var.alert_emails]
}
