provider "aws" {
  region                      = "ap-southeast-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  skip_region_validation      = true
}

variables {
  account_id      = "111122223333"
  repository      = "example-company/internal-file-processing-system"
  repository_arns = ["arn:aws:ecr:ap-southeast-1:111122223333:repository/agentgateway"]
}

run "only_the_main_branch_of_the_repository_may_push" {
  command = plan

  assert {
    condition     = jsondecode(data.aws_iam_policy_document.trust["push"].json).Statement[0].Condition.StringEquals == { "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com", "token.actions.githubusercontent.com:sub" = "repo:example-company/internal-file-processing-system:ref:refs/heads/main" }
    error_message = "The token's audience and subject must be compared as a whole."
  }
}

run "pull_requests_are_refused" {
  command = plan

  variables {
    subjects = ["pull_request"]
  }

  expect_failures = [var.subjects]
}

run "wildcard_in_a_branch_is_refused" {
  command = plan

  variables {
    subjects = ["ref:refs/heads/*"]
  }

  expect_failures = [var.subjects]
}

run "all_repositories_of_the_registry_are_refused" {
  command = plan

  variables {
    repository_arns = ["arn:aws:ecr:ap-southeast-1:111122223333:repository/*"]
  }

  expect_failures = [var.repository_arns]
}

run "repository_as_an_address_is_refused" {
  command = plan

  variables {
    repository = "https://github.com/example-company/internal-file-processing-system"
  }

  expect_failures = [var.repository]
}

run "a_pull_request_plans_and_only_an_approved_run_applies" {
  command = plan

  assert {
    condition     = toset(jsondecode(data.aws_iam_policy_document.trust["plan"].json).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"]) == toset(["repo:example-company/internal-file-processing-system:ref:refs/heads/main", "repo:example-company/internal-file-processing-system:pull_request"])
    error_message = "Plans are of pull requests and of the main branch."
  }

  assert {
    condition     = alltrue([for subject in jsondecode(data.aws_iam_policy_document.trust["apply"].json).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] : startswith(subject, "repo:example-company/internal-file-processing-system:environment:")])
    error_message = "What applies must have been approved in an environment."
  }

  assert {
    condition     = endswith(aws_iam_role_policy_attachment.terraform["plan"].policy_arn, ":policy/ReadOnlyAccess")
    error_message = "A plan reads."
  }
}

run "wildcard_in_an_environment_is_refused" {
  command = plan

  variables {
    apply_environments = ["*"]
  }

  expect_failures = [var.apply_environments]
}
