# Controllers of the platform, which Argo CD installs from their charts.
locals {
  controllers = {
    aws-load-balancer-controller = data.aws_iam_policy_document.aws_load_balancer_controller.json
    cluster-autoscaler           = data.aws_iam_policy_document.cluster_autoscaler.json
    external-secrets             = data.aws_iam_policy_document.external_secrets.json
    keda-operator                = data.aws_iam_policy_document.keda_operator.json
  }
}

# Terraform owns the load balancers: the controller only keeps pods' addresses in target groups that are there.
data "aws_iam_policy_document" "aws_load_balancer_controller" {
  #checkov:skip=CKV_AWS_356:What it describes knows no resource.
  statement {
    sid = "SeeWhatIsThere"
    actions = [
      "ec2:DescribeAvailabilityZones",
      "ec2:DescribeInstances",
      "ec2:DescribeNetworkInterfaces",
      "ec2:DescribeSecurityGroups",
      "ec2:DescribeSubnets",
      "ec2:DescribeVpcs",
      "elasticloadbalancing:DescribeTargetGroupAttributes",
      "elasticloadbalancing:DescribeTargetGroups",
      "elasticloadbalancing:DescribeTargetHealth",
      "elasticloadbalancing:DescribeTags",
    ]
    resources = ["*"]
  }

  statement {
    sid       = "RegisterPods"
    actions   = ["elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"]
    resources = ["arn:${local.partition}:elasticloadbalancing:${var.region}:${var.account_id}:targetgroup/${var.environment}-*/*"]
  }
}

data "aws_iam_policy_document" "cluster_autoscaler" {
  #checkov:skip=CKV_AWS_356:What it describes knows no resource.
  statement {
    sid = "SeeWhatIsThere"
    actions = [
      "autoscaling:DescribeAutoScalingGroups",
      "autoscaling:DescribeLaunchConfigurations",
      "autoscaling:DescribeScalingActivities",
      "ec2:DescribeImages",
      "ec2:DescribeInstanceTypes",
      "ec2:DescribeLaunchTemplateVersions",
      "ec2:GetInstanceTypesFromInstanceRequirements",
    ]
    resources = ["*"]
  }

  statement {
    sid       = "SeeNodeGroups"
    actions   = ["eks:DescribeNodegroup"]
    resources = ["arn:${local.partition}:eks:${var.region}:${var.account_id}:nodegroup/${var.cluster_name}/*/*"]
  }

  statement {
    sid       = "ScaleThisClustersNodes"
    actions   = ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"]
    resources = ["arn:${local.partition}:autoscaling:${var.region}:${var.account_id}:autoScalingGroup:*:autoScalingGroupName/*"]

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/k8s.io/cluster-autoscaler/${var.cluster_name}"
      values   = ["owned"]
    }
  }
}

data "aws_iam_policy_document" "external_secrets" {
  # Secrets Manager ends each ARN with a dash and six characters.
  statement {
    sid     = "ReadSecretsOfTheCluster"
    actions = ["secretsmanager:GetSecretValue"]
    resources = [
      "arn:${local.partition}:secretsmanager:${var.region}:${var.account_id}:secret:${var.environment}-frontend-??????",
      "arn:${local.partition}:secretsmanager:${var.region}:${var.account_id}:secret:${var.environment}/*",
    ]
  }
}

data "aws_iam_policy_document" "keda_operator" {
  statement {
    sid       = "SeeHowLongTheQueueIs"
    actions   = ["sqs:GetQueueAttributes"]
    resources = [var.queue_arn]
  }
}
