variable "account_id" {
  description = "Number of the AWS account."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be 12 digits."
  }
}

variable "repository" {
  description = "Repository on GitHub whose workflows push."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.repository))
    error_message = "repository must be owner/name, for example example-company/internal-file-processing-system."
  }
}

variable "repository_ids" {
  description = "Numbers of the repository and its owner, which GitHub writes into the token of repositories made, renamed or moved since 15 July 2026: gh api repos/<owner>/<name> --jq '{owner: .owner.id, repository: .id}'. Null trusts the older form alone."
  type = object({
    owner      = number
    repository = number
  })
  default = null

  validation {
    condition     = var.repository_ids == null || can(regex("^[1-9][0-9]*/[1-9][0-9]*$", "${var.repository_ids.owner}/${var.repository_ids.repository}"))
    error_message = "repository_ids must be two positive whole numbers: owner and repository."
  }
}

variable "create_provider" {
  description = "Whether to make GitHub's OIDC provider. False where the account has one: an account takes only one, and it must list the audience sts.amazonaws.com."
  type        = bool
  default     = true
  nullable    = false
}

variable "subjects" {
  description = "Which runs: the end of the token's subject."
  type        = list(string)
  default     = ["ref:refs/heads/main"]
  nullable    = false

  validation {
    condition     = length(var.subjects) > 0 && alltrue([for subject in var.subjects : can(regex("^(ref:refs/(heads|tags)/[^*]+|environment:[^*]+)$", subject))])
    error_message = "subjects must be ref:refs/heads/<branch>, ref:refs/tags/<tag> or environment:<name>, without *: a pull request must not push images."
  }
}

variable "repository_arns" {
  description = "ARNs of the ECR repositories; none in an account without a registry, which then has no roles for images."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.repository_arns : can(regex("^arn:[a-z-]+:ecr:[a-z0-9-]+:[0-9]{12}:repository/[^*]+$", arn))])
    error_message = "repository_arns must be ARNs of ECR repositories, without *."
  }
}

variable "apply_environments" {
  description = "Environments on GitHub in which Terraform is applied to this account; each must ask for a reviewer's approval."
  type        = list(string)
  default     = ["shared", "dev", "prod"]
  nullable    = false

  validation {
    condition     = length(var.apply_environments) > 0 && alltrue([for name in var.apply_environments : can(regex("^[a-z][a-z0-9-]*$", name))])
    error_message = "apply_environments must be names of environments, without *: only what was approved may change the account."
  }
}

variable "preview_environments" {
  description = "Environments, of those, that a pull request plans. Their states must hold no key: anybody who may push a branch can read them."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(setsubtract(var.preview_environments, var.apply_environments)) == 0
    error_message = "preview_environments must be some of apply_environments."
  }
}
