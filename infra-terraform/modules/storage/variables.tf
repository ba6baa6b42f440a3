variable "environment" {
  description = "Name of the environment; the first part of every name."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.environment))
    error_message = "environment must be 2 to 10 lower-case letters or digits, starting with a letter."
  }
}

variable "account_id" {
  description = "Number of the AWS account."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be 12 digits."
  }
}

variable "app_origin" {
  description = "Origin of the page whose browser uploads parts of files to presigned URLs."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^https://[a-z0-9.-]+$", var.app_origin))
    error_message = "app_origin must be an https origin without a path, for example https://app.example.com."
  }
}

variable "file_retention_days" {
  description = "For how many days people's files and results are kept; S3 removes them a day later."
  type        = number
  default     = 7
  nullable    = false

  validation {
    condition     = var.file_retention_days >= 1 && var.file_retention_days <= 365 && floor(var.file_retention_days) == var.file_retention_days
    error_message = "file_retention_days must be a whole number from 1 to 365."
  }
}

variable "log_retention_days" {
  description = "For how many days access logs are kept."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = var.log_retention_days >= 1
    error_message = "log_retention_days must be at least 1."
  }
}

variable "force_destroy" {
  description = "Whether destroying the buckets deletes what is in them."
  type        = bool
  default     = false
  nullable    = false
}
