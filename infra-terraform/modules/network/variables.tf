variable "environment" {
  description = "Prefix of all names, for example dev."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.environment))
    error_message = "environment must be 2 to 10 lower-case letters or digits, starting with a letter, for example dev."
  }
}

variable "account_id" {
  description = "Account whose principals may use the VPC endpoints."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be the 12 digits of an AWS account."
  }
}

variable "region" {
  description = "Region of the network; endpoints are named by it."
  type        = string
  nullable    = false
}

variable "zones" {
  description = "Availability zones that get subnets. A zone's addresses follow from its letter, so that adding one renumbers nothing."
  type        = set(string)
  nullable    = false

  validation {
    condition     = length(var.zones) >= 2
    error_message = "zones must name at least two availability zones: EKS, load balancers and database subnet groups refuse fewer."
  }

  validation {
    condition     = alltrue([for zone in var.zones : can(regex("^${var.region}[a-f]$", zone))])
    error_message = "zones must be zones a to f of the region ${var.region}, for example ${var.region}a."
  }
}

variable "node_zones" {
  description = "Zones, of those above, in which nodes run; each has a NAT gateway unless single_nat_gateway is set. Interface endpoints are in these zones too."
  type        = set(string)
  nullable    = false

  validation {
    condition     = length(var.node_zones) > 0 && length(setsubtract(var.node_zones, var.zones)) == 0
    error_message = "node_zones must be one or more of zones."
  }
}

variable "single_nat_gateway" {
  description = "Whether all zones share the NAT gateway of the first node zone: cheaper, and gone with that zone."
  type        = bool
  default     = false
  nullable    = false
}

variable "vpc_cidr" {
  description = "Addresses of load balancers, NAT gateways, endpoints and databases, which other networks may route to."
  type        = string
  default     = "10.0.0.0/16"
  nullable    = false

  validation {
    condition     = can(cidrnetmask(var.vpc_cidr)) && endswith(var.vpc_cidr, "/16")
    error_message = "vpc_cidr must be an IPv4 block of size /16, for example 10.0.0.0/16."
  }
}

variable "pod_cidr" {
  description = "Addresses of nodes and pods, of the shared address space (RFC 6598), so that they take none from other networks."
  type        = string
  default     = "100.64.0.0/16"
  nullable    = false

  validation {
    condition     = can(cidrnetmask(var.pod_cidr)) && can(regex("^100\\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\\.0\\.0/16$", var.pod_cidr))
    error_message = "pod_cidr must be a /16 block within 100.64.0.0/10, for example 100.64.0.0/16."
  }
}

variable "on_premises_cidrs" {
  description = "Networks behind the VPN or Direct Connect, which reach the internal subnets only."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for cidr in var.on_premises_cidrs : can(cidrnetmask(cidr))])
    error_message = "on_premises_cidrs must be IPv4 blocks, for example 192.168.0.0/16."
  }
}

variable "on_premises_dns_servers" {
  description = "Addresses of DNS servers on-premises to which queries are forwarded."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for server in var.on_premises_dns_servers : can(cidrnetmask("${server}/32"))])
    error_message = "on_premises_dns_servers must be IPv4 addresses, for example 192.168.0.53."
  }

  validation {
    condition     = 3 * length(var.on_premises_cidrs) + 2 * length(var.on_premises_dns_servers) <= 16
    error_message = "on_premises_cidrs and on_premises_dns_servers are too many: 3 rules a block and 2 a server must be 16 at most, since a network ACL holds 20 rules."
  }
}

variable "interface_endpoints" {
  description = "AWS services reached by an interface endpoint instead of the NAT gateway, by the end of their endpoint's name, for example ecr.api. Each costs by the hour and node zone. S3 and DynamoDB always have gateway endpoints, which are free."
  type        = set(string)
  default     = ["ecr.api", "ecr.dkr"]
  nullable    = false

  validation {
    condition     = length(setintersection(var.interface_endpoints, ["s3", "dynamodb"])) == 0
    error_message = "interface_endpoints must not contain s3 or dynamodb: they have gateway endpoints."
  }
}

variable "flow_log_retention_days" {
  description = "Days for which flow logs are kept."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400], var.flow_log_retention_days)
    error_message = "flow_log_retention_days must be a period that CloudWatch Logs offers: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 or 400."
  }
}
