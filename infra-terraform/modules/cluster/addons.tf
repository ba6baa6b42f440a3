locals {
  # Nodes become ready only with these; the other add-ons need nodes to run on.
  addons_before_nodes = {
    vpc-cni = jsonencode({
      enableNetworkPolicy = "true"
      env = {
        # Blocks of 16 addresses: as many pods on a node as its memory holds, not as it has addresses.
        ENABLE_PREFIX_DELEGATION = "true"
        WARM_PREFIX_TARGET       = "1"
        # A new pod starts open: for the moment until the agent on its node has the pod's policies, everything is allowed.
        # "strict" closes that moment, but then every pod of the cluster needs policies that allow all that it does, also
        # CoreDNS and the other add-ons, or it stays closed (EKS User Guide, "Restrict Pod network traffic").
        NETWORK_POLICY_ENFORCING_MODE = "standard"
      }
    })
    kube-proxy             = null
    eks-pod-identity-agent = null
  }

  addons = {
    coredns                         = null
    metrics-server                  = null
    amazon-cloudwatch-observability = jsonencode(local.cloudwatch)
  }

  # Service accounts of add-ons that call AWS.
  addon_service_accounts = {
    vpc-cni                         = { namespace = "kube-system", name = "aws-node" }
    amazon-cloudwatch-observability = { namespace = "amazon-cloudwatch", name = "cloudwatch-agent" }
  }
}

resource "aws_eks_addon" "before_nodes" {
  for_each = local.addons_before_nodes

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = var.addon_versions[each.key]
  configuration_values        = each.value
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"

  depends_on = [aws_eks_pod_identity_association.addon, aws_iam_role_policy_attachment.cni]
}

resource "aws_eks_addon" "this" {
  for_each = local.addons

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = var.addon_versions[each.key]
  configuration_values        = each.value
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"

  # The log groups are created before the agents and destroyed after them.
  depends_on = [
    aws_eks_node_group.this,
    aws_eks_pod_identity_association.addon,
    aws_iam_role_policy.cloudwatch,
    aws_cloudwatch_log_group.containers,
  ]
}

resource "aws_iam_role" "addon" {
  for_each = local.addon_service_accounts

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

resource "aws_iam_role_policy_attachment" "cni" {
  role       = aws_iam_role.addon["vpc-cni"].name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/AmazonEKS_CNI_Policy"
}

resource "aws_eks_pod_identity_association" "addon" {
  for_each = local.addon_service_accounts

  cluster_name    = aws_eks_cluster.this.name
  namespace       = each.value.namespace
  service_account = each.value.name
  role_arn        = aws_iam_role.addon[each.key].arn
}
