provider "aws" {
  region                      = "ap-southeast-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  skip_region_validation      = true
}

run "secrets_are_places_without_values" {
  command = plan

  variables {
    environment = "dev"
    secrets     = { dev-frontend = "JSON: SECRET_KEY" }
  }

  assert {
    condition     = [for secret in values(aws_secretsmanager_secret.this) : secret.name] == ["dev-frontend"]
    error_message = "A secret must have the name that its readers expect."
  }
}

run "secret_of_another_environment_is_refused" {
  command = plan

  variables {
    environment = "dev"
    secrets     = { prod-frontend = "JSON: SECRET_KEY" }
  }

  expect_failures = [var.secrets]
}

run "recovery_of_a_day_is_refused" {
  command = plan

  variables {
    environment          = "dev"
    secrets              = {}
    recovery_window_days = 1
  }

  expect_failures = [var.recovery_window_days]
}
