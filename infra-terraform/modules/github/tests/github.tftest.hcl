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

run "the_main_branch_plans_and_only_an_approved_run_applies" {
  command = plan

  assert {
    condition     = jsondecode(data.aws_iam_policy_document.trust["plan"].json).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] == "repo:example-company/internal-file-processing-system:ref:refs/heads/main"
    error_message = "Plans are of the main branch."
  }

  assert {
    condition     = alltrue([for subject in jsondecode(data.aws_iam_policy_document.trust["apply"].json).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] : startswith(subject, "repo:example-company/internal-file-processing-system:environment:")])
    error_message = "What applies must have been approved in an environment."
  }

  assert {
    condition     = endswith(aws_iam_role_policy_attachment.terraform["plan"].policy_arn, ":policy/ReadOnlyAccess")
    error_message = "A plan reads."
  }

  assert {
    condition     = !contains(keys(aws_iam_role.terraform), "preview")
    error_message = "Pull requests must have no role unless environments are named that they may plan."
  }
}

run "a_pull_request_plans_only_the_environments_that_are_named" {
  command = plan

  variables {
    preview_environments = ["dev"]
  }

  assert {
    condition     = jsondecode(data.aws_iam_policy_document.no_data["preview"].json).Statement[0].NotResource == "arn:aws:s3:::*/dev/terraform.tfstate"
    error_message = "A pull request must read the state of dev, and no other."
  }
}

run "another_account_has_no_roles_for_images" {
  command = plan

  variables {
    repository_arns    = []
    create_provider    = false
    apply_environments = ["prod"]
  }

  assert {
    condition     = length(aws_iam_role.push) + length(aws_iam_role.promote) + length(aws_iam_openid_connect_provider.github) == 0 && toset(keys(aws_iam_role.terraform)) == toset(["plan", "apply"])
    error_message = "Without a registry there are the roles for Terraform alone, and a provider that is there is used."
  }
}

run "numbers_of_the_repository_are_compared_too" {
  command = plan

  variables {
    repository_ids = { owner = 123456, repository = 456789 }
  }

  assert {
    condition = jsonencode(jsondecode(data.aws_iam_policy_document.trust["push"].json).Statement[0].Condition.StringEquals) == jsonencode({
      "token.actions.githubusercontent.com:aud"           = "sts.amazonaws.com"
      "token.actions.githubusercontent.com:repository_id" = "456789"
      "token.actions.githubusercontent.com:sub" = [
        "repo:example-company/internal-file-processing-system:ref:refs/heads/main",
        "repo:example-company@123456/internal-file-processing-system@456789:ref:refs/heads/main",
      ]
    })
    error_message = "Both forms of the subject must be taken, of this repository alone."
  }
}

run "numbers_that_are_none_are_refused" {
  command = plan

  variables {
    repository_ids = { owner = 0, repository = 1.5 }
  }

  expect_failures = [var.repository_ids]
}

run "wildcard_in_an_environment_is_refused" {
  command = plan

  variables {
    apply_environments = ["*"]
  }

  expect_failures = [var.apply_environments]
}
