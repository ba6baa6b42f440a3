variable "environment" {
  description = "Prefix of all names, for example dev. The cluster is called <environment>-file-processing."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.environment))
    error_message = "environment must be 2 to 10 lower-case letters or digits, starting with a letter, for example dev."
  }
}

variable "account_id" {
  description = "Account of the cluster; its principals administer the cluster's key."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be the 12 digits of an AWS account."
  }
}

variable "region" {
  description = "Region of the cluster."
  type        = string
  nullable    = false
}

variable "kubernetes_version" {
  description = "Minor version of Kubernetes. Cluster Autoscaler's minor version is the same one."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^1\\.[0-9]{2}$", var.kubernetes_version))
    error_message = "kubernetes_version must be a minor version, for example 1.35."
  }
}

variable "addon_versions" {
  description = "Version of each add-on; each must be one that EKS offers for kubernetes_version: aws eks describe-addon-versions."
  type = object({
    amazon-cloudwatch-observability = string
    coredns                         = string
    eks-pod-identity-agent          = string
    kube-proxy                      = string
    metrics-server                  = string
    vpc-cni                         = string
  })
  nullable = false

  validation {
    condition     = alltrue([for version in values(var.addon_versions) : can(regex("^v[0-9]+\\.[0-9]+\\.[0-9]+-eksbuild\\.[0-9]+$", version))])
    error_message = "addon_versions must be versions of EKS add-ons, for example v1.14.2-eksbuild.4."
  }

  validation {
    condition     = startswith(var.addon_versions.kube-proxy, "v${var.kubernetes_version}.")
    error_message = "addon_versions.kube-proxy must be of kubernetes_version: kube-proxy supports no newer cluster, and EKS offers none for an older one."
  }
}

variable "node_release_version" {
  description = "Release of the nodes' image (Amazon Linux 2023), as awslabs/amazon-eks-ami lists it: Kubernetes version and date."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]+\\.[0-9]+\\.[0-9]+-[0-9]{8}$", var.node_release_version)) && startswith(var.node_release_version, "${var.kubernetes_version}.")
    error_message = "node_release_version must be a release for kubernetes_version, for example 1.35.6-20260714."
  }
}

variable "control_plane_subnet_ids" {
  description = "Subnets, in two zones or more, in which the API server has its private addresses."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.control_plane_subnet_ids) >= 2
    error_message = "control_plane_subnet_ids must be in at least two zones: EKS refuses one."
  }
}

variable "node_subnet_ids" {
  description = "The subnet of nodes and pods in each zone that has nodes; each zone gets a node group of its own, so that the autoscaler can add where a pod must run."
  type        = map(string)
  nullable    = false

  validation {
    condition     = length(var.node_subnet_ids) > 0
    error_message = "node_subnet_ids must have at least one zone."
  }
}

variable "node_group" {
  description = "Nodes of each zone: types that are alike in processors and memory, so that the autoscaler may take any; sizes; disk in GiB; ON_DEMAND or SPOT."
  type = object({
    instance_types = list(string)
    min            = optional(number, 1)
    max            = optional(number, 10)
    desired        = optional(number, 1)
    disk_gb        = optional(number, 50)
    capacity_type  = optional(string, "ON_DEMAND")
  })
  nullable = false

  validation {
    condition     = length(var.node_group.instance_types) >= 2
    error_message = "node_group.instance_types must be several types, so that one that is sold out does not stop scaling."
  }

  validation {
    condition     = var.node_group.min >= 1 && var.node_group.min <= var.node_group.desired && var.node_group.desired <= var.node_group.max && var.node_group.max <= 10
    error_message = "node_group sizes must satisfy 1 <= min <= desired <= max <= 10."
  }

  validation {
    condition     = contains(["ON_DEMAND", "SPOT"], var.node_group.capacity_type)
    error_message = "node_group.capacity_type must be ON_DEMAND or SPOT."
  }
}

variable "endpoint_public_cidrs" {
  description = "Networks that reach the API server over the internet; none closes its public endpoint."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for cidr in var.endpoint_public_cidrs : can(cidrnetmask(cidr)) && !endswith(cidr, "/0")])
    error_message = "endpoint_public_cidrs must be IPv4 blocks, for example 203.0.113.0/24; the whole internet is not one of them."
  }
}

variable "admin_role_arns" {
  description = "IAM roles that administer the cluster. Nobody else is an administrator, the cluster's creator included."
  type        = set(string)
  nullable    = false

  validation {
    condition     = length(var.admin_role_arns) > 0 && alltrue([for arn in var.admin_role_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/", arn))])
    error_message = "admin_role_arns must be one or more ARNs of IAM roles: without one nobody could enter the cluster."
  }
}

variable "viewer_role_arns" {
  description = "IAM roles that may read the cluster's objects, but no Secrets, and change nothing."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.viewer_role_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/", arn))])
    error_message = "viewer_role_arns must be ARNs of IAM roles."
  }
}

variable "control_plane_logs" {
  description = "Logs of the control plane that CloudWatch keeps. The audit log is the largest by far."
  type        = set(string)
  default     = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
  nullable    = false

  validation {
    condition     = length(setsubtract(var.control_plane_logs, ["api", "audit", "authenticator", "controllerManager", "scheduler"])) == 0
    error_message = "control_plane_logs must be of api, audit, authenticator, controllerManager and scheduler."
  }
}

variable "container_insights_seconds" {
  description = "Seconds between two observations of each node, pod and container; CloudWatch charges for each observation."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = contains([60, 300], var.container_insights_seconds)
    error_message = "container_insights_seconds must be 60 or 300: alarms look at periods of 300 seconds."
  }
}

variable "log_retention_days" {
  description = "Days for which the logs of the control plane, nodes and pods are kept."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827], var.log_retention_days)
    error_message = "log_retention_days must be a number of days that CloudWatch knows, for example 7, 30, 90 or 365."
  }
}
