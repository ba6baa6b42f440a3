variable "bucket" {
  description = "Name of the bucket, free in all of AWS, for example example-company-terraform-state."
  type        = string
  nullable    = false
}

variable "environment_accounts" {
  description = "Other accounts, and the environments that are in each of them, for example {\"444455556666\" = [\"prod\"]}. Give it with every apply: what is left out loses access."
  type        = map(set(string))
  default     = {}
  nullable    = false
}
