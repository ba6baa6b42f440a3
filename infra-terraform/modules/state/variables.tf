variable "bucket_name" {
  description = "Name of the bucket; it must be free in all of AWS."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket_name))
    error_message = "bucket_name must be 3 to 63 lower-case letters, digits and dashes, for example example-company-terraform-state."
  }
}
