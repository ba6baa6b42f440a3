variable "environment" {
  description = "Name of the environment; the first part of every name."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.environment))
    error_message = "environment must be 2 to 10 lower-case letters or digits, starting with a letter."
  }
}

variable "vpc_id" {
  description = "VPC of the database."
  type        = string
  nullable    = false
}

variable "subnet_ids" {
  description = "Internal subnets, in two zones or more."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.subnet_ids) >= 2 && length(distinct(var.subnet_ids)) == length(var.subnet_ids)
    error_message = "subnet_ids must be two or more different subnets: a database subnet group needs two zones."
  }
}

variable "client_security_group_id" {
  description = "Security group of those who may connect."
  type        = string
  nullable    = false
}

variable "engine_version" {
  description = "Major version of PostgreSQL."
  type        = string
  default     = "17"
  nullable    = false

  validation {
    condition     = can(regex("^1[5-9]$", var.engine_version))
    error_message = "engine_version must be a major version of PostgreSQL from 15 to 19, for example 17."
  }
}

variable "instance_class" {
  description = "Size of the instance."
  type        = string
  default     = "db.t4g.small"
  nullable    = false

  validation {
    condition     = can(regex("^db\\.[a-z0-9]+\\.[a-z0-9]+$", var.instance_class))
    error_message = "instance_class must be a class of RDS, for example db.t4g.small."
  }
}

variable "multi_az" {
  description = "Whether a standby in another zone takes over."
  type        = bool
  default     = true
  nullable    = false
}

variable "allocated_gb" {
  description = "Storage at first, in GiB; it grows to five times that by itself."
  type        = number
  default     = 20
  nullable    = false

  validation {
    condition     = var.allocated_gb >= 20 && var.allocated_gb <= 1000
    error_message = "allocated_gb must be from 20 to 1000: gp3 begins at 20 GiB."
  }
}

variable "log_retention_days" {
  description = "Days for which the database's logs are kept."
  type        = number
  default     = 30
  nullable    = false
}

variable "deletion_protection" {
  description = "Whether RDS refuses to delete the instance; and whether a last snapshot is kept."
  type        = bool
  default     = true
  nullable    = false
}
