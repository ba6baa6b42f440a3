provider "aws" {
  region                      = "ap-southeast-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  skip_region_validation      = true
}

variables {
  environment              = "prod"
  account_id               = "111122223333"
  region                   = "ap-southeast-1"
  kubernetes_version       = "1.35"
  control_plane_subnet_ids = ["subnet-0a", "subnet-0b", "subnet-0c"]
  node_subnet_ids          = { ap-southeast-1a = "subnet-1a", ap-southeast-1b = "subnet-1b", ap-southeast-1c = "subnet-1c" }
  node_group               = { instance_types = ["m5.2xlarge", "m5a.2xlarge"], desired = 2 }
  admin_role_arns          = ["arn:aws:iam::111122223333:role/platform-engineers"]
  node_release_version     = "1.35.6-20260714"

  addon_versions = {
    amazon-cloudwatch-observability = "v6.2.0-eksbuild.1"
    coredns                         = "v1.14.2-eksbuild.4"
    eks-pod-identity-agent          = "v1.3.10-eksbuild.3"
    kube-proxy                      = "v1.35.3-eksbuild.13"
    metrics-server                  = "v0.8.1-eksbuild.6"
    vpc-cni                         = "v1.22.4-eksbuild.3"
  }
}

run "the_cluster_is_private_and_encrypted_and_logs_everything" {
  command = plan

  assert {
    condition     = aws_eks_cluster.this.name == "prod-file-processing" && aws_eks_cluster.this.version == "1.35"
    error_message = "The cluster must be prod-file-processing of the given version."
  }

  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_private_access && !aws_eks_cluster.this.vpc_config[0].endpoint_public_access
    error_message = "The API server must be private unless networks are named."
  }

  assert {
    condition     = aws_eks_cluster.this.access_config[0].authentication_mode == "API" && !aws_eks_cluster.this.access_config[0].bootstrap_cluster_creator_admin_permissions
    error_message = "Access must be by API entries alone."
  }

  assert {
    condition     = aws_eks_cluster.this.encryption_config[0].resources == toset(["secrets"]) && aws_kms_key.secrets.enable_key_rotation
    error_message = "Secrets must be encrypted by a rotated key."
  }

  assert {
    condition     = length(aws_eks_cluster.this.enabled_cluster_log_types) == 5
    error_message = "All five logs of the control plane must be on, unless the environment chooses."
  }

  assert {
    condition     = { for arn, association in aws_eks_access_policy_association.this : arn => basename(association.policy_arn) } == { "arn:aws:iam::111122223333:role/platform-engineers" = "AmazonEKSClusterAdminPolicy" }
    error_message = "Only the named roles may enter."
  }

  assert {
    condition     = aws_eks_cluster.this.zonal_shift_config[0].enabled
    error_message = "With nodes in several zones, traffic must be able to leave one of them."
  }
}

run "each_zone_has_a_node_group_of_one_to_ten_nodes" {
  command = plan

  assert {
    condition     = keys(aws_eks_node_group.this) == ["ap-southeast-1a", "ap-southeast-1b", "ap-southeast-1c"] && alltrue([for group in aws_eks_node_group.this : length(group.subnet_ids) == 1])
    error_message = "A node group must be in one zone, and each zone must have one."
  }

  assert {
    condition     = alltrue([for group in aws_eks_node_group.this : group.scaling_config[0].min_size == 1 && group.scaling_config[0].max_size == 10 && length(group.instance_types) > 1])
    error_message = "A node group must have 1 to 10 nodes of several types."
  }

  assert {
    condition     = aws_launch_template.node.metadata_options[0].http_tokens == "required" && aws_launch_template.node.metadata_options[0].http_put_response_hop_limit == 1
    error_message = "Nodes must use IMDSv2, out of the reach of pods."
  }

  assert {
    condition     = aws_launch_template.node.block_device_mappings[0].ebs[0].encrypted == "true"
    error_message = "Nodes' disks must be encrypted."
  }

  assert {
    condition     = length(aws_autoscaling_group_tag.autoscaler) == 6 && aws_autoscaling_group_tag.autoscaler["ap-southeast-1a k8s.io/cluster-autoscaler/prod-file-processing"].tag[0].value == "owned"
    error_message = "Each group must carry both tags that Cluster Autoscaler looks for."
  }
}

run "add_ons_are_pinned_and_have_roles_of_their_own" {
  command = plan

  assert {
    condition     = tomap({ for name, addon in merge(aws_eks_addon.before_nodes, aws_eks_addon.this) : name => addon.addon_version }) == tomap(var.addon_versions)
    error_message = "Each add-on must have its version, and no other may be installed."
  }

  assert {
    condition     = alltrue([for group in aws_eks_node_group.this : group.release_version == "1.35.6-20260714" && group.node_repair_config[0].enabled])
    error_message = "The nodes' image must be pinned, and nodes must be repaired."
  }

  assert {
    condition     = jsondecode(aws_eks_addon.before_nodes["vpc-cni"].configuration_values).enableNetworkPolicy == "true" && jsondecode(aws_eks_addon.before_nodes["vpc-cni"].configuration_values).env.ENABLE_PREFIX_DELEGATION == "true"
    error_message = "The CNI must enforce network policies and delegate prefixes."
  }

  assert {
    condition     = { for name, association in aws_eks_pod_identity_association.addon : name => association.service_account } == { vpc-cni = "aws-node", amazon-cloudwatch-observability = "cloudwatch-agent" }
    error_message = "Add-ons that call AWS must do so by their own service account."
  }

  assert {
    condition     = length(aws_iam_role_policy_attachment.node) == 2
    error_message = "A node may join and pull, no more."
  }
}

run "agents_inject_nothing_and_write_to_the_groups_that_exist" {
  command = plan

  assert {
    condition     = !local.cloudwatch.applicationSignals.enabled && !local.cloudwatch.manager.applicationSignals.autoMonitor.monitorAllServices
    error_message = "Application Signals must be off: it changes other people's pods."
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.cloudwatch.policy, "CreateLogGroup")
    error_message = "The agents must not create log groups: Terraform does, with a retention."
  }

  assert {
    condition     = length(jsondecode(aws_iam_role_policy.cloudwatch.policy).Statement[0].Resource) == length(aws_cloudwatch_log_group.containers)
    error_message = "The agents must write to the cluster's own groups alone."
  }

  assert {
    condition     = alltrue([for group in concat(values(aws_cloudwatch_log_group.containers), [aws_cloudwatch_log_group.control_plane]) : group.retention_in_days == 30])
    error_message = "Each log group must have a retention."
  }
}

run "an_environment_chooses_viewers_and_costs" {
  command = plan

  variables {
    node_subnet_ids            = { ap-southeast-1a = "subnet-1a" }
    viewer_role_arns           = ["arn:aws:iam::111122223333:role/developers"]
    control_plane_logs         = ["api", "authenticator"]
    container_insights_seconds = 300
  }

  assert {
    condition     = basename(aws_eks_access_policy_association.this["arn:aws:iam::111122223333:role/developers"].policy_arn) == "AmazonEKSViewPolicy"
    error_message = "A viewer must be able to read only."
  }

  assert {
    condition     = aws_eks_cluster.this.enabled_cluster_log_types == toset(["api", "authenticator"])
    error_message = "The chosen logs must be on, and no other."
  }

  assert {
    condition     = local.cloudwatch.agents[0].config.logs.metrics_collected.kubernetes.metrics_collection_interval == 300
    error_message = "Container Insights must observe as seldom as chosen."
  }

  assert {
    condition     = !aws_eks_cluster.this.zonal_shift_config[0].enabled
    error_message = "Nodes in one zone have no other to shift to."
  }
}

run "named_networks_open_the_public_endpoint_to_themselves_alone" {
  command = plan

  variables {
    endpoint_public_cidrs = ["203.0.113.0/24"]
  }

  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].public_access_cidrs == toset(["203.0.113.0/24"])
    error_message = "Only the named networks may reach the public endpoint."
  }
}

run "wrong_values_are_refused" {
  command = plan

  variables {
    environment              = "a-very-long-name"
    account_id               = "me"
    kubernetes_version       = "latest"
    control_plane_subnet_ids = ["subnet-0a"]
    node_group               = { instance_types = ["t3.large"], max = 11, capacity_type = "RESERVED" }
    endpoint_public_cidrs    = ["0.0.0.0/0"]
    admin_role_arns          = []
    viewer_role_arns         = ["developers"]
    control_plane_logs       = ["kubelet"]
    log_retention_days       = 10

    container_insights_seconds = 90
  }

  expect_failures = [
    var.environment, var.account_id, var.kubernetes_version, var.control_plane_subnet_ids, var.node_group, var.endpoint_public_cidrs, var.admin_role_arns,
    var.viewer_role_arns, var.control_plane_logs, var.log_retention_days, var.container_insights_seconds,
  ]
}

run "versions_of_another_kubernetes_are_refused" {
  command = plan

  variables {
    kubernetes_version = "1.36"
  }

  expect_failures = [var.addon_versions, var.node_release_version]
}
