variable "environment" {
  description = "Name of the environment; the first part of every name."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.environment))
    error_message = "environment must be 2 to 10 lower-case letters or digits, starting with a letter."
  }
}

variable "secrets" {
  description = "Name of each secret, and what is in it."
  type        = map(string)
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.secrets) : startswith(name, "${var.environment}-") || startswith(name, "${var.environment}/")])
    error_message = "secrets must have names that start with the environment and - or /, for example dev-frontend."
  }
}

variable "recovery_window_days" {
  description = "For how many days a deleted secret can be brought back; 0 deletes at once."
  type        = number
  default     = 7
  nullable    = false

  validation {
    condition     = var.recovery_window_days == 0 || (var.recovery_window_days >= 7 && var.recovery_window_days <= 30)
    error_message = "recovery_window_days must be 0, or from 7 to 30."
  }
}
