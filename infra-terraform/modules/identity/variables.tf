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

variable "app_url" {
  description = "Where people's browsers go."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^https://[a-z0-9.-]+$", var.app_url))
    error_message = "app_url must be https without a path, for example https://app.example.com."
  }
}

variable "api_url" {
  description = "Where programs go; the audience of their tokens."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^https://[a-z0-9.-]+$", var.api_url))
    error_message = "api_url must be https without a path, for example https://api.example.com."
  }
}

variable "argocd_url" {
  description = "Where Argo CD's page is."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^https://[a-z0-9.-]+$", var.argocd_url))
    error_message = "argocd_url must be https without a path, for example https://argocd.example.com."
  }
}

variable "region" {
  description = "AWS region."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be an AWS region, for example ap-southeast-1."
  }
}

variable "groups" {
  description = "Groups of people: one or two for a department, and those who run the platform."
  type        = set(string)
  nullable    = false

  validation {
    condition     = length(var.groups) > 0 && alltrue([for group in var.groups : can(regex("^[a-z][a-z0-9-]{0,62}$", group))])
    error_message = "groups must be one or more names of lower-case letters, digits and dashes, for example finance."
  }
}

variable "domain_prefix" {
  description = "First label of the login page's host name, unique in the region."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.domain_prefix)) && !can(regex("aws|amazon|cognito", var.domain_prefix))
    error_message = "domain_prefix must be 1 to 63 lower-case letters, digits and inner dashes, without aws, amazon or cognito: Cognito refuses others."
  }
}

variable "mfa" {
  description = "Whether people need a second factor (a time-based code): ON, OPTIONAL or OFF."
  type        = string
  default     = "ON"
  nullable    = false

  validation {
    condition     = contains(["ON", "OPTIONAL", "OFF"], var.mfa)
    error_message = "mfa must be ON, OPTIONAL or OFF."
  }
}

variable "deletion_protection" {
  description = "Whether Cognito refuses to delete the pool."
  type        = bool
  default     = true
  nullable    = false
}

variable "on_premises_groups" {
  description = "Name of each IAM role that calls from on-premises, and the groups that the gateway gives it."
  type        = map(set(string))
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for role in keys(var.on_premises_groups) : startswith(role, "${var.environment}-") && length(role) <= 64])
    error_message = "on_premises_groups must name roles of at most 64 characters that start with the environment, for example dev-on-premises-finance: role names are unique in an account."
  }

  validation {
    condition     = alltrue([for groups in values(var.on_premises_groups) : length(groups) > 0 && length(setsubtract(groups, var.groups)) == 0])
    error_message = "on_premises_groups must give each role at least one group, and only groups that are in groups."
  }
}

variable "on_premises_certificate_authority" {
  description = "Certificates (PEM) of the company's authority whose certificates give the on-premises roles (IAM Roles Anywhere); none: only principals of the account."
  type        = string
  default     = null

  validation {
    condition     = var.on_premises_certificate_authority == null || can(regex("^-----BEGIN CERTIFICATE-----", var.on_premises_certificate_authority))
    error_message = "on_premises_certificate_authority must be PEM that begins with -----BEGIN CERTIFICATE-----."
  }
}

variable "saml" {
  description = "The company's SAML identity provider, beside the pool's own users: its name, the address of its metadata, and the SAML attributes that hold mail address and name. Groups are still the pool's. Null: the pool's own users alone."
  type = object({
    name            = string
    metadata_url    = string
    email_attribute = optional(string, "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress")
    name_attribute  = optional(string, "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name")
  })
  default = null

  validation {
    condition     = var.saml == null || try(can(regex("^[A-Za-z0-9][A-Za-z0-9-]{1,30}[A-Za-z0-9]$", var.saml.name)) && startswith(var.saml.metadata_url, "https://"), false)
    error_message = "saml must have a name of 3 to 32 letters, digits and inner dashes, and a metadata_url that starts with https://."
  }
}
