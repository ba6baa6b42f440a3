variable "account" {
  description = "What is of one account and so not in Git; modules/platform says what it holds. Kept in account.auto.tfvars beside this file, which Git ignores, or given as TF_VAR_account."
  type        = any
  nullable    = false
}
