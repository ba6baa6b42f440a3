locals {
  node_tags = {
    Name        = "${local.name}-node"
    Environment = var.environment
    Project     = "file-processing"
  }
}

resource "aws_eks_node_group" "this" {
  for_each = var.node_subnet_ids

  cluster_name    = aws_eks_cluster.this.name
  node_group_name = "${var.environment}-${each.key}"
  node_role_arn   = aws_iam_role.node.arn
  subnet_ids      = [each.value]
  version         = var.kubernetes_version
  release_version = var.node_release_version
  ami_type        = "AL2023_x86_64_STANDARD"
  capacity_type   = var.node_group.capacity_type
  instance_types  = var.node_group.instance_types

  launch_template {
    id      = aws_launch_template.node.id
    version = aws_launch_template.node.latest_version
  }

  scaling_config {
    min_size     = var.node_group.min
    max_size     = var.node_group.max
    desired_size = var.node_group.desired
  }

  update_config {
    max_unavailable = 1
  }

  # EKS replaces a node that has not been ready for 30 minutes.
  node_repair_config {
    enabled = true
  }

  lifecycle {
    ignore_changes = [scaling_config[0].desired_size] # Cluster Autoscaler's
  }

  # Nodes need the network add-on to become ready, and their role until they are drained.
  depends_on = [aws_iam_role_policy_attachment.node, aws_eks_addon.before_nodes]
}

# By which Cluster Autoscaler finds the groups it may resize: managed node groups do not hand their tags down.
resource "aws_autoscaling_group_tag" "autoscaler" {
  for_each = merge([
    for zone in keys(var.node_subnet_ids) : {
      for tag, value in {
        "k8s.io/cluster-autoscaler/enabled"       = "true"
        "k8s.io/cluster-autoscaler/${local.name}" = "owned"
      } : "${zone} ${tag}" => { zone = zone, tag = tag, value = value }
    }
  ]...)

  autoscaling_group_name = aws_eks_node_group.this[each.value.zone].resources[0].autoscaling_groups[0].name

  tag {
    key                 = each.value.tag
    value               = each.value.value
    propagate_at_launch = true
  }
}

resource "aws_launch_template" "node" {
  name                   = "${var.environment}-node"
  description            = "Nodes of ${local.name}"
  update_default_version = true

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      volume_type           = "gp3"
      volume_size           = var.node_group.disk_gb
      encrypted             = true
      delete_on_termination = true
    }
  }

  # One hop: pods, which are one hop further, never get the node's credentials.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  dynamic "tag_specifications" {
    for_each = toset(["instance", "volume", "network-interface"])

    content {
      resource_type = tag_specifications.value
      tags          = local.node_tags
    }
  }
}

resource "aws_iam_role" "node" {
  name        = "${var.environment}-node"
  description = "Nodes join the cluster and pull images; pods have roles of their own"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "node" {
  for_each = toset(["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"])

  role       = aws_iam_role.node.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/${each.value}"
}
