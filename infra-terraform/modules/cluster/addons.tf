locals {
  managed_policy = "arn:${data.aws_partition.current.partition}:iam::aws:policy"

  # Without these no node becomes ready; the others need nodes to run on.
  addons_before_nodes = {
    vpc-cni = jsonencode({
      enableNetworkPolicy = "true"
      env = {
        # Blocks of 16 addresses: as many pods on a node as its memory holds, not as it has addresses.
        ENABLE_PREFIX_DELEGATION = "true"
        WARM_PREFIX_TARGET       = "1"
        # The same refusal for a new pod as for an old one: nothing is open while policies are on their way.
        NETWORK_POLICY_ENFORCING_MODE = "standard"
      }
    })
    kube-proxy             = null
    eks-pod-identity-agent = null
  }

  addons = {
    coredns                         = null
    aws-ebs-csi-driver              = null
    metrics-server                  = null
    amazon-cloudwatch-observability = null
  }

  # Add-ons that call AWS, by the service account that does.
  addon_roles = {
    vpc-cni = {
      namespace       = "kube-system"
      service_account = "aws-node"
      policy          = "AmazonEKS_CNI_Policy"
    }
    aws-ebs-csi-driver = {
      namespace       = "kube-system"
      service_account = "ebs-csi-controller-sa"
      policy          = "service-role/AmazonEBSCSIDriverPolicy"
    }
    amazon-cloudwatch-observability = {
      namespace       = "amazon-cloudwatch"
      service_account = "cloudwatch-agent"
      policy          = "CloudWatchAgentServerPolicy"
    }
  }
}

resource "aws_eks_addon" "before_nodes" {
  for_each = local.addons_before_nodes

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  configuration_values        = each.value
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"

  depends_on = [aws_eks_pod_identity_association.addon]
}

resource "aws_eks_addon" "this" {
  for_each = local.addons

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  configuration_values        = each.value
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"

  depends_on = [aws_eks_node_group.this, aws_eks_pod_identity_association.addon]
}

resource "aws_iam_role" "addon" {
  for_each = local.addon_roles

  name        = "${var.environment}-${each.key}"
  description = "The add-on ${each.key} of ${local.name}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "pods.eks.amazonaws.com" }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Condition = { StringEquals = {
        "aws:SourceAccount" = var.account_id
        "aws:SourceArn"     = "arn:${data.aws_partition.current.partition}:eks:${var.region}:${var.account_id}:cluster/${local.name}"
      } }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "addon" {
  for_each = local.addon_roles

  role       = aws_iam_role.addon[each.key].name
  policy_arn = "${local.managed_policy}/${each.value.policy}"
}

resource "aws_eks_pod_identity_association" "addon" {
  for_each = local.addon_roles

  cluster_name    = aws_eks_cluster.this.name
  namespace       = each.value.namespace
  service_account = each.value.service_account
  role_arn        = aws_iam_role.addon[each.key].arn
}
