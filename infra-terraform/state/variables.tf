variable "bucket" {
  description = "Name of the bucket, free in all of AWS, for example example-company-terraform-state."
  type        = string
  nullable    = false
}
