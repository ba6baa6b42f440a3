variable "account" {
  description = "What is of one account and so not in Git: its number, and other accounts whose nodes pull images. Kept in account.auto.tfvars beside this file, which Git ignores, or given as TF_VAR_account."
  type = object({
    id               = string
    pull_account_ids = optional(set(string), [])
  })
  nullable = false
}
