data "aws_partition" "current" {}

locals {
  partition = data.aws_partition.current.partition
  irsa      = var.mode == "irsa"
  issuer    = var.oidc_issuer_url == null ? null : trimprefix(var.oidc_issuer_url, "https://")

  # Service => the ServiceAccount whose pods get its role.
  accounts = {
    agentgateway                 = { namespace = var.namespace, name = "agentgateway" }
    application                  = { namespace = var.namespace, name = "application" }
    application-worker           = { namespace = var.namespace, name = "application-worker" }
    frontend                     = { namespace = var.namespace, name = "frontend" }
    department-operator          = { namespace = var.namespace, name = "department-operator" }
    aws-load-balancer-controller = { namespace = "kube-system", name = "aws-load-balancer-controller" }
    cluster-autoscaler           = { namespace = "kube-system", name = "cluster-autoscaler" }
    external-secrets             = { namespace = "external-secrets", name = "external-secrets" }
    keda-operator                = { namespace = "keda", name = "keda-operator" }
  }

  # One role for all departments where the session carries the ServiceAccount's name (Pod Identity), else one each.
  departments = local.irsa ? { for department in var.departments : "mcp-${department}" => "mcp-${department}" } : { department = "mcp-*" }

  roles = merge(
    { for service, account in local.accounts : service => merge(account, { policy = local.policies[service] }) },
    { for role, account in local.departments : role => {
      namespace = var.namespace
      name      = account
      policy    = data.aws_iam_policy_document.department[role].json
    } },
  )
}

resource "aws_iam_openid_connect_provider" "cluster" {
  count = local.irsa ? 1 : 0

  url            = var.oidc_issuer_url
  client_id_list = ["sts.amazonaws.com"]
}

data "aws_iam_policy_document" "trust" {
  for_each = local.roles

  dynamic "statement" {
    for_each = local.irsa ? [] : [true]

    content {
      sid     = "PodIdentity"
      actions = ["sts:AssumeRole", "sts:TagSession"]

      principals {
        type        = "Service"
        identifiers = ["pods.eks.amazonaws.com"]
      }

      condition {
        test     = "StringEquals"
        variable = "aws:SourceAccount"
        values   = [var.account_id]
      }

      condition {
        test     = "ArnEquals"
        variable = "aws:SourceArn"
        values   = [var.cluster_arn]
      }

      # Whatever associations there are: only this ServiceAccount's pods.
      condition {
        test     = "StringEquals"
        variable = "aws:RequestTag/kubernetes-namespace"
        values   = [each.value.namespace]
      }

      condition {
        test     = "StringLike"
        variable = "aws:RequestTag/kubernetes-service-account"
        values   = [each.value.name]
      }
    }
  }

  dynamic "statement" {
    for_each = local.irsa ? [true] : []

    content {
      sid     = "ServiceAccountToken"
      actions = ["sts:AssumeRoleWithWebIdentity"]

      principals {
        type        = "Federated"
        identifiers = ["arn:${local.partition}:iam::${var.account_id}:oidc-provider/${local.issuer}"]
      }

      condition {
        test     = "StringEquals"
        variable = "${local.issuer}:aud"
        values   = ["sts.amazonaws.com"]
      }

      condition {
        test     = "StringEquals"
        variable = "${local.issuer}:sub"
        values   = ["system:serviceaccount:${each.value.namespace}:${each.value.name}"]
      }
    }
  }
}

resource "aws_iam_role" "this" {
  for_each = local.roles

  name               = "${var.environment}-${each.key}"
  description        = "Pods of ${each.value.namespace}/${each.value.name} in ${var.cluster_name}."
  assume_role_policy = data.aws_iam_policy_document.trust[each.key].json
}

resource "aws_iam_role_policy" "this" {
  for_each = local.roles

  name   = "least-privilege"
  role   = aws_iam_role.this[each.key].name
  policy = each.value.policy
}

# Departments' associations are made by the department operator, which knows when one comes and goes.
resource "aws_eks_pod_identity_association" "this" {
  for_each = local.irsa ? {} : local.accounts

  cluster_name    = var.cluster_name
  namespace       = each.value.namespace
  service_account = each.value.name
  role_arn        = aws_iam_role.this[each.key].arn
}
