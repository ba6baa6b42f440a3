variable "account" {
  description = "What is of one account and so not in Git: its number; the numbers of the repository and its owner on GitHub; whether to make GitHub's OIDC provider; the environments in this account; and other accounts whose nodes pull images. Kept in account.auto.tfvars beside this file, which Git ignores, or given as TF_VAR_account."
  type = object({
    id               = string
    repository_ids   = optional(object({ owner = number, repository = number }))
    create_provider  = optional(bool, true)
    environments     = optional(list(string), ["shared", "dev", "prod"])
    pull_account_ids = optional(set(string), [])
  })
  nullable = false
}
