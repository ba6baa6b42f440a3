variable "bucket_name" {
  description = "Name of the bucket; it must be free in all of AWS."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket_name))
    error_message = "bucket_name must be 3 to 63 lower-case letters, digits and dashes, for example example-company-terraform-state."
  }
}

variable "environment_accounts" {
  description = "Other accounts, and the environments whose states each of them reads and writes, for example {\"444455556666\" = [\"prod\"]}."
  type        = map(set(string))
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for id, names in var.environment_accounts : can(regex("^[0-9]{12}$", id)) && length(names) > 0 && alltrue([for name in names : can(regex("^[a-z][a-z0-9]{1,9}$", name))])])
    error_message = "environment_accounts must be, for each account of 12 digits, names of environments, for example {\"444455556666\" = [\"prod\"]}."
  }
}
