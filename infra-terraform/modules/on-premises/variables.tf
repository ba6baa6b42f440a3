variable "environment" {
  description = "Prefix of all names, for example dev."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.environment))
    error_message = "environment must be 2 to 10 lower-case letters or digits, starting with a letter, for example dev."
  }
}

variable "vpc_id" {
  description = "VPC that on-premises reaches."
  type        = string
  nullable    = false
}

variable "internal_subnet_ids" {
  description = "Internal subnets, by zone, in which the DNS resolver has an address each."
  type        = map(string)
  nullable    = false

  validation {
    condition     = length(var.internal_subnet_ids) >= 2
    error_message = "internal_subnet_ids must be in at least two zones: a resolver endpoint refuses one."
  }
}

variable "internal_route_table_id" {
  description = "Route table of the internal subnets: the only one that learns the way to on-premises."
  type        = string
  nullable    = false
}

variable "cidrs" {
  description = "Networks on-premises."
  type        = set(string)
  nullable    = false

  validation {
    condition     = length(var.cidrs) > 0 && alltrue([for cidr in var.cidrs : can(cidrnetmask(cidr)) && !endswith(cidr, "/0")])
    error_message = "cidrs must be one or more IPv4 blocks, for example 192.168.0.0/16."
  }
}

variable "vpn" {
  description = "Public address of the VPN device on-premises, its BGP number, and AWS's own. Both tunnels lead to it."
  type = object({
    customer_gateway_ip = string
    bgp_asn             = optional(number, 65000)
    amazon_asn          = optional(number, 64512)
  })
  nullable = false

  validation {
    condition     = can(cidrnetmask("${var.vpn.customer_gateway_ip}/32"))
    error_message = "vpn.customer_gateway_ip must be an IPv4 address, for example 198.51.100.7."
  }

  validation {
    condition     = var.vpn.bgp_asn != var.vpn.amazon_asn && alltrue([for asn in [var.vpn.bgp_asn, var.vpn.amazon_asn] : asn >= 64512 && asn <= 65534])
    error_message = "vpn.bgp_asn and vpn.amazon_asn must be two different private numbers, 64512 to 65534."
  }
}

variable "direct_connect" {
  description = "A Direct Connect gateway beside the VPN, which then stands by: its BGP number. The line itself is ordered from a partner."
  type = object({
    amazon_asn = optional(number, 64513)
  })
  default = null

  validation {
    condition     = var.direct_connect == null || try(var.direct_connect.amazon_asn != var.vpn.amazon_asn && var.direct_connect.amazon_asn != var.vpn.bgp_asn, false)
    error_message = "direct_connect.amazon_asn must differ from the VPN's numbers."
  }
}

variable "forwarded_domains" {
  description = "Domains that on-premises' DNS servers answer for, with the servers' addresses; none makes no outbound endpoint."
  type        = map(list(string))
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for servers in var.forwarded_domains : length(servers) > 0 && alltrue([for server in servers : can(cidrnetmask("${server}/32"))])])
    error_message = "forwarded_domains must give each domain the IPv4 addresses of its servers, for example { \"corp.example.com\" = [\"192.168.0.53\"] }."
  }

  validation {
    condition = alltrue([for server in flatten(values(var.forwarded_domains)) : anytrue([
      for cidr in var.cidrs : try(cidrhost("${server}/${split("/", cidr)[1]}", 0) == cidrhost(cidr, 0), false)
    ])])
    error_message = "forwarded_domains must name servers within cidrs: there is no way to others."
  }
}

variable "log_retention_days" {
  description = "Days for which the tunnels' logs are kept."
  type        = number
  default     = 30
  nullable    = false
}
