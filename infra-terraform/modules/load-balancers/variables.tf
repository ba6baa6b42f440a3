variable "environment" {
  description = "Prefix of all names, for example dev. A target group is called <environment>-<service>, and manifests bind to it by that name."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.environment))
    error_message = "environment must be 2 to 10 lower-case letters or digits, starting with a letter, for example dev."
  }
}

variable "vpc_id" {
  description = "VPC of the load balancers."
  type        = string
  nullable    = false
}

variable "public_subnet_ids" {
  description = "Public subnets, in two zones or more, of the internet load balancer."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.public_subnet_ids) >= 2
    error_message = "public_subnet_ids must be in at least two zones: a load balancer refuses one."
  }
}

variable "internal_subnet_ids" {
  description = "Internal subnets, in two zones or more, of the internal load balancer."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.internal_subnet_ids) >= 2
    error_message = "internal_subnet_ids must be in at least two zones: a load balancer refuses one."
  }
}

variable "domain" {
  description = "Domain below which app., api. and argocd. are."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.domain))
    error_message = "domain must be a domain name in lower case, for example files.example.com."
  }
}

variable "hosted_zone_id" {
  description = "Route 53 zone of the domain, in which names and the certificate's proofs are written. Without it, certificate_arn is needed, and names are yours to make."
  type        = string
  default     = null

  validation {
    condition     = (var.hosted_zone_id == null) != (var.certificate_arn == null)
    error_message = "Give either hosted_zone_id or certificate_arn: a certificate is made in the one case and brought in the other."
  }
}

variable "certificate_arn" {
  description = "A certificate of yours in ACM for app., api. and argocd., where no hosted zone is given."
  type        = string
  default     = null

  validation {
    condition     = var.certificate_arn == null || can(regex("^arn:[a-z-]+:acm:", var.certificate_arn))
    error_message = "certificate_arn must be the ARN of a certificate in ACM."
  }
}

variable "pod_security_group_id" {
  description = "Security group of the pods, which is opened to the load balancers alone."
  type        = string
  nullable    = false
}

variable "cognito" {
  description = "User pool in which people log in before they reach app., the domain prefix of its login page, and the client that the load balancer is."
  type = object({
    user_pool_arn    = string
    user_pool_domain = string
    client_id        = string
  })
  nullable = false
}

variable "access_logs_bucket" {
  description = "Bucket for access logs, below alb/; its policy lets load balancers write there."
  type        = string
  nullable    = false
}

variable "on_premises_cidrs" {
  description = "Networks that reach the internal load balancer."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for cidr in var.on_premises_cidrs : can(cidrnetmask(cidr)) && !endswith(cidr, "/0")])
    error_message = "on_premises_cidrs must be IPv4 blocks, for example 192.168.0.0/16; the whole internet is not one of them."
  }
}

variable "rate_limit" {
  description = "Requests from one address in five minutes after which it is refused for a while. An office is one address: the default is 100 people who each load every file of the page with an empty cache, 2,000 requests each."
  type        = number
  default     = 200000
  nullable    = false

  validation {
    condition     = var.rate_limit >= 100 && var.rate_limit <= 20000000
    error_message = "rate_limit must be 100 to 20,000,000 requests in five minutes."
  }
}

variable "anonymous_rate_limit" {
  description = "The same for requests with neither a session's cookie nor a token: logins, and what programs discover before they have a token. A login takes four."
  type        = number
  default     = 2000
  nullable    = false

  validation {
    condition     = var.anonymous_rate_limit >= 100 && var.anonymous_rate_limit <= var.rate_limit
    error_message = "anonymous_rate_limit must be 100 to rate_limit requests in five minutes."
  }
}

variable "deletion_protection" {
  description = "Whether the load balancers refuse to be deleted."
  type        = bool
  default     = true
  nullable    = false
}

variable "log_retention_days" {
  description = "Days for which the firewall's log is kept."
  type        = number
  default     = 30
  nullable    = false
}
