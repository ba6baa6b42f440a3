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

variable "alert_emails" {
  description = "Who is told when an alarm goes off; each confirms by the message that SNS sends."
  type        = set(string)
  nullable    = false

  validation {
    condition     = alltrue([for address in var.alert_emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", address))])
    error_message = "alert_emails must be e-mail addresses."
  }
}

variable "public_alb_arn_suffix" {
  description = "End of the public load balancer's ARN, by which CloudWatch knows it."
  type        = string
  nullable    = false
}

variable "internal_alb_arn_suffix" {
  description = "End of the internal load balancer's ARN."
  type        = string
  nullable    = false
}

variable "target_group_arn_suffixes" {
  description = "Name of each target group without the environment, and the end of its ARN; those that end in -internal are not the public load balancer's."
  type        = map(string)
  nullable    = false
}

variable "queue_name" {
  description = "Queue of jobs."
  type        = string
  nullable    = false
}

variable "dead_letter_queue_name" {
  description = "Queue of what was received ten times."
  type        = string
  nullable    = false
}

variable "jobs_table_name" {
  description = "The application's table."
  type        = string
  nullable    = false
}

variable "database_instance_identifier" {
  description = "The frontend's database; none: no alarms on it."
  type        = string
  default     = null
}

variable "nat_gateway_ids" {
  description = "ID of each NAT gateway, by zone."
  type        = map(string)
  nullable    = false
}

variable "vpn_connection_ids" {
  description = "ID of the VPN connection to on-premises, by a name; none: no alarm on its tunnels."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(var.vpn_connection_ids) <= 1
    error_message = "vpn_connection_ids must have one connection at most: one alarm looks at it."
  }
}

variable "certificate_arn" {
  description = "Certificate of the load balancers."
  type        = string
  nullable    = false
}

variable "burn_alarms" {
  description = "Whether alarms watch the error budgets of docs/slo.md: not where nothing is promised."
  type        = bool
  default     = true
  nullable    = false
}

variable "slow_seconds" {
  description = "What 19 of 20 requests must not take longer than, in seconds."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = var.slow_seconds > 0
    error_message = "slow_seconds must be more than 0."
  }
}
