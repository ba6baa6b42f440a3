provider "aws" {
  region                      = "ap-southeast-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  skip_region_validation      = true
}

variables {
  account_id       = "111122223333"
  region           = "ap-southeast-1"
  repositories     = ["agentgateway", "application"]
  pull_account_ids = ["444455556666"]
}

run "images_are_immutable_and_scanned" {
  command = plan

  assert {
    condition     = alltrue([for repository in aws_ecr_repository.this : repository.image_tag_mutability == "IMMUTABLE" && repository.image_scanning_configuration[0].scan_on_push])
    error_message = "Tags must be immutable, and every push scanned."
  }

  assert {
    condition     = output.repository_urls["application"] == "111122223333.dkr.ecr.ap-southeast-1.amazonaws.com/application"
    error_message = "A repository must be called as its service."
  }

  assert {
    condition     = alltrue([for policy in aws_ecr_lifecycle_policy.this : [for rule in jsondecode(policy.policy).rules : [rule.selection.tagPatternList, rule.selection.countNumber]] == [[["prod-*"], 100], [["build-*"], 200]]])
    error_message = "The newest 100 promoted images and the newest 200 builds must be kept."
  }
}

run "other_accounts_may_pull_but_not_push" {
  command = plan

  assert {
    condition     = alltrue([for policy in aws_ecr_repository_policy.pull : !strcontains(policy.policy, "Put") && !strcontains(policy.policy, "Upload") && strcontains(policy.policy, "arn:aws:iam::444455556666:root")])
    error_message = "Other accounts must not push."
  }
}

run "wrong_values_are_refused" {
  command = plan

  variables {
    account_id           = "1"
    repositories         = ["Application"]
    kept_images          = 1
    kept_promoted_images = 1
    pull_account_ids     = ["everyone"]
  }

  expect_failures = [var.account_id, var.repositories, var.kept_images, var.kept_promoted_images, var.pull_account_ids]
}
