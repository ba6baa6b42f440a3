variable "environment" {
  description = "Name of the environment, the prefix of all names."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.environment))
    error_message = "environment must be 2 to 10 lower-case letters or digits, starting with a letter, for example dev."
  }
}

variable "account" {
  description = "What is of one account and so not in Git: its number; the domain below which app., api. and argocd. are, with its Route 53 zone or a certificate; who gets alerts; who administers the cluster, who may look at it, and from which networks over the internet; and for on-premises, the VPN device's address and the authority of its certificates. saml is the company's identity provider, as modules/identity describes. In an account that is not environments/shared's, github names the repository whose workflows apply Terraform there."
  type = object({
    id                                = string
    domain                            = string
    hosted_zone_id                    = optional(string)
    certificate_arn                   = optional(string)
    alert_emails                      = set(string)
    admin_role_arns                   = set(string)
    viewer_role_arns                  = optional(set(string), [])
    api_cidrs                         = optional(set(string), [])
    customer_gateway_ip               = optional(string)
    on_premises_certificate_authority = optional(string)
    saml = optional(object({
      name            = string
      metadata_url    = string
      email_attribute = optional(string)
      name_attribute  = optional(string)
    }))
    github = optional(object({
      repository      = string
      repository_ids  = optional(object({ owner = number, repository = number }))
      create_provider = optional(bool, true)
      environments    = optional(list(string))
    }))
  })
  nullable = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account.id))
    error_message = "account.id must be the 12 digits of an AWS account."
  }
}

variable "region" {
  description = "Region of everything."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be a region of AWS, for example ap-southeast-1."
  }
}

variable "departments" {
  description = "Folder of the Department objects, one YAML file each: the groups that they name are made in the user pool."
  type        = string
  nullable    = false

  validation {
    condition     = length(fileset(var.departments, "*.yaml")) > 0
    error_message = "departments must be a folder with Department objects, for example $${path.root}/../../../base/departments."
  }
}

variable "zones" {
  description = "Availability zones with subnets: two or more."
  type        = set(string)
  nullable    = false
}

variable "node_zones" {
  description = "Zones, of those, in which nodes run."
  type        = set(string)
  nullable    = false
}

variable "single_nat_gateway" {
  description = "Whether one NAT gateway serves all zones."
  type        = bool
  default     = false
  nullable    = false
}

variable "interface_endpoints" {
  description = "AWS services that are reached without the NAT gateway, beside S3 and DynamoDB, which always are."
  type        = set(string)
  nullable    = false
}

variable "kubernetes_version" {
  description = "Minor version of Kubernetes; Cluster Autoscaler's in apps/platform is the same one."
  type        = string
  nullable    = false
}

variable "addon_versions" {
  description = "Version of each add-on of EKS, for kubernetes_version."
  type        = map(string)
  nullable    = false
}

variable "node_release_version" {
  description = "Release of the nodes' image, for kubernetes_version."
  type        = string
  nullable    = false
}

variable "node_group" {
  description = "Nodes of each zone, as modules/cluster describes."
  type = object({
    instance_types = list(string)
    min            = optional(number, 1)
    max            = optional(number, 10)
    desired        = optional(number, 1)
    disk_gb        = optional(number, 50)
    capacity_type  = optional(string, "ON_DEMAND")
  })
  nullable = false
}

variable "on_premises" {
  description = "Networks on-premises, joined by a VPN and, where direct_connect is given, a Direct Connect gateway; the DNS domains that they answer for; and the IAM roles that call from there, with their groups. Null joins none."
  type = object({
    cidrs             = set(string)
    direct_connect    = optional(object({ amazon_asn = optional(number, 64513) }))
    forwarded_domains = optional(map(list(string)), {})
    role_groups       = optional(map(set(string)), {})
  })
  default = null

  validation {
    condition     = var.on_premises == null || var.account.customer_gateway_ip != null
    error_message = "account.customer_gateway_ip must be given where on_premises is: it is the VPN device's public address."
  }
}

variable "database" {
  description = "PostgreSQL for a frontend of several replicas; null where its one replica keeps a file."
  type = object({
    instance_class = optional(string, "db.t4g.small")
    multi_az       = optional(bool, true)
    allocated_gb   = optional(number, 20)
  })
  default = null
}

variable "mfa" {
  description = "Whether people need a second factor: ON, OPTIONAL or OFF."
  type        = string
  default     = "ON"
  nullable    = false
}

variable "protected" {
  description = "Whether what holds data, and the load balancers, refuse to be deleted."
  type        = bool
  default     = true
  nullable    = false
}

variable "log_retention_days" {
  description = "Days for which logs are kept."
  type        = number
  default     = 30
  nullable    = false
}

variable "control_plane_logs" {
  description = "Logs of the control plane that are kept, as modules/cluster describes."
  type        = set(string)
  default     = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
  nullable    = false
}

variable "container_insights_seconds" {
  description = "Seconds between two observations of each node, pod and container: 60 or 300."
  type        = number
  default     = 60
  nullable    = false
}

variable "monthly_limit_usd" {
  description = "What a month may cost, in US dollars."
  type        = number
  nullable    = false
}
