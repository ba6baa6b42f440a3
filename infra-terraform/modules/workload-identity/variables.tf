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

variable "region" {
  description = "AWS region."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be an AWS region, for example ap-southeast-1."
  }
}

variable "cluster_name" {
  description = "Name of the EKS cluster."
  type        = string
  nullable    = false
}

variable "mode" {
  description = "How pods get their role: pod-identity, or irsa (IAM roles for service accounts)."
  type        = string
  default     = "pod-identity"
  nullable    = false

  validation {
    condition     = contains(["pod-identity", "irsa"], var.mode)
    error_message = "mode must be pod-identity or irsa."
  }
}

variable "oidc_issuer_url" {
  description = "The cluster's issuer; irsa needs it."
  type        = string
  default     = null

  validation {
    condition     = var.mode == "pod-identity" || can(regex("^https://", var.oidc_issuer_url))
    error_message = "oidc_issuer_url must be the cluster's issuer (https://…) where mode is irsa."
  }
}

variable "departments" {
  description = "Departments that get a role each where mode is irsa; Pod Identity needs no list."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for department in var.departments : can(regex("^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$", department))])
    error_message = "departments must be names of at most 30 lower-case letters, digits and inner dashes, for example finance."
  }
}

variable "namespace" {
  description = "Kubernetes namespace of the services."
  type        = string
  default     = "file-processing"
  nullable    = false
}

variable "signing_key_alias" {
  description = "Alias of the KMS key that the gateway signs with."
  type        = string
  nullable    = false

  validation {
    condition     = startswith(var.signing_key_alias, "alias/")
    error_message = "signing_key_alias must start with alias/, for example alias/dev-gateway-signing."
  }
}

variable "database_user" {
  description = "Who the frontend logs in to PostgreSQL as, by IAM; none without a database."
  type        = string
  default     = null
}

variable "cluster_arn" {
  description = "ARN of the EKS cluster."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z-]+:eks:[^*]+$", var.cluster_arn))
    error_message = "cluster_arn must be the ARN of one cluster, without *."
  }
}

variable "files_bucket_arn" {
  description = "Bucket of files and results."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z-]+:s3:[^*]+$", var.files_bucket_arn))
    error_message = "files_bucket_arn must be the ARN of one bucket, without *."
  }
}

variable "department_data_bucket_arn" {
  description = "Bucket of the departments' data."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z-]+:s3:[^*]+$", var.department_data_bucket_arn))
    error_message = "department_data_bucket_arn must be the ARN of one bucket, without *."
  }
}

variable "queue_arn" {
  description = "Queue of jobs."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z-]+:sqs:[^*]+$", var.queue_arn))
    error_message = "queue_arn must be the ARN of one queue, without *."
  }
}

variable "jobs_table_arn" {
  description = "The application's table."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z-]+:dynamodb:[^*]+$", var.jobs_table_arn))
    error_message = "jobs_table_arn must be the ARN of one table, without *."
  }
}

variable "exchanges_table_arn" {
  description = "The gateway's table of used exchanges."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z-]+:dynamodb:[^*]+$", var.exchanges_table_arn))
    error_message = "exchanges_table_arn must be the ARN of one table, without *."
  }
}
