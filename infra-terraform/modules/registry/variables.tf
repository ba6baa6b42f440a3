variable "account_id" {
  description = "Account of the repositories."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be the 12 digits of an AWS account."
  }
}

variable "region" {
  description = "Region of the repositories."
  type        = string
  nullable    = false
}

variable "repositories" {
  description = "Names of the repositories: one for each service, called as it is."
  type        = set(string)
  nullable    = false

  validation {
    condition     = alltrue([for name in var.repositories : can(regex("^[a-z0-9][a-z0-9-]{1,254}$", name))])
    error_message = "repositories must be named as their services: lower-case letters, digits and dashes."
  }

  validation {
    condition     = length(var.repositories) > 0
    error_message = "repositories must not be empty: the names of all services, or every image would go."
  }
}

variable "kept_images" {
  description = "Newest builds (tag build-<version>) that each repository keeps; dev runs one of them."
  type        = number
  default     = 200
  nullable    = false

  validation {
    condition     = var.kept_images >= 20
    error_message = "kept_images must be at least 20: dev may run an older image than the newest few."
  }
}

variable "kept_promoted_images" {
  description = "Newest promoted images (tag prod-<version>) that each repository keeps: prod runs one of them, and rolls back to the others."
  type        = number
  default     = 100
  nullable    = false

  validation {
    condition     = var.kept_promoted_images >= 20
    error_message = "kept_promoted_images must be at least 20: prod may be rolled back to an older image than the newest few."
  }
}

variable "pull_account_ids" {
  description = "Other accounts whose nodes may pull."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.pull_account_ids : can(regex("^[0-9]{12}$", id))])
    error_message = "pull_account_ids must be the 12 digits of AWS accounts."
  }
}
