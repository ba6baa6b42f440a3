variable "environment" {
  description = "Environment whose cluster is handed over to Git: dev or prod."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["dev", "prod"], var.environment)
    error_message = "environment must be dev or prod: a folder in clusters/ and in argocd/install/."
  }
}

variable "state_bucket" {
  description = "Bucket that keeps the environment's state, from which its facts are read."
  type        = string
  nullable    = false
}

variable "repository_credentials" {
  description = "GitHub App by which Argo CD reads a private repository; null for a public one. The key is in the state, which is encrypted."
  type = object({
    app_id              = string
    app_installation_id = string
    app_private_key     = string
  })
  default   = null
  sensitive = true
}
