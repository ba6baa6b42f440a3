data "aws_partition" "current" {}

locals {
  iam       = "arn:${data.aws_partition.current.partition}:iam::${var.account_id}"
  issuer    = "token.actions.githubusercontent.com"
  has_image = length(var.repository_arns) > 0 ? toset(["this"]) : toset([])

  # The token's subject names the repository with IDs if it was made, renamed or moved since 15 July 2026, else without.
  # https://github.blog/changelog/2026-04-23-immutable-subject-claims-for-github-actions-oidc-tokens/
  owner_and_name = split("/", var.repository)
  named          = "repo:${var.repository}"
  numbered       = var.repository_ids == null ? null : "repo:${local.owner_and_name[0]}@${var.repository_ids.owner}/${local.owner_and_name[1]}@${var.repository_ids.repository}"

  image_roles = length(var.repository_arns) > 0 ? { push = var.subjects, promote = var.subjects } : {}
}

# An account can have only one provider for an issuer.
resource "aws_iam_openid_connect_provider" "github" {
  count = var.create_provider ? 1 : 0

  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
}

data "aws_iam_policy_document" "trust" {
  #checkov:skip=CKV_AWS_358:audience and subject are compared as whole values; the scan cannot read the expression
  for_each = merge(local.image_roles, { for name, role in local.terraform_roles : name => role.subjects })

  statement {
    sid     = "WorkflowsOfTheRepository"
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = ["${local.iam}:oidc-provider/${local.issuer}"]
    }

    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:aud"
      values   = ["sts.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:sub"
      values   = [for pair in setproduct(compact([local.named, local.numbered]), each.value) : join(":", pair)]
    }

    # With the ID, a repository that somebody else makes under a name that became free is refused.
    # https://aws.amazon.com/about-aws/whats-new/2026/01/aws-sts-supports-validation-identity-provider-claims/
    dynamic "condition" {
      for_each = var.repository_ids == null ? [] : [var.repository_ids.repository]

      content {
        test     = "StringEquals"
        variable = "${local.issuer}:repository_id"
        values   = [tostring(condition.value)]
      }
    }
  }
}

data "aws_iam_policy_document" "push" {
  #checkov:skip=CKV_AWS_356:ecr:GetAuthorizationToken knows no resource.
  for_each = local.has_image

  statement {
    sid       = "LogIn"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }

  statement {
    sid = "PushImages"
    actions = [
      "ecr:BatchCheckLayerAvailability",
      "ecr:BatchGetImage",
      "ecr:CompleteLayerUpload",
      "ecr:GetDownloadUrlForLayer",
      "ecr:InitiateLayerUpload",
      "ecr:PutImage",
      "ecr:UploadLayerPart",
    ]
    resources = var.repository_arns
  }
}

resource "aws_iam_role" "push" {
  for_each = local.has_image

  name                 = "github-push-images"
  description          = "Workflows of ${var.repository} push images."
  assume_role_policy   = data.aws_iam_policy_document.trust["push"].json
  max_session_duration = 3600

  depends_on = [aws_iam_openid_connect_provider.github]
}

resource "aws_iam_role_policy" "push" {
  for_each = local.has_image

  name   = "push-images"
  role   = aws_iam_role.push[each.key].name
  policy = data.aws_iam_policy_document.push[each.key].json
}

# Gives an image that is in the registry one more tag. It uploads no layer, so it cannot bring in a new image.
data "aws_iam_policy_document" "promote" {
  #checkov:skip=CKV_AWS_356:ecr:GetAuthorizationToken knows no resource.
  for_each = local.has_image

  statement {
    sid       = "LogIn"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }

  statement {
    sid       = "TagImages"
    actions   = ["ecr:BatchGetImage", "ecr:PutImage"]
    resources = var.repository_arns
  }
}

resource "aws_iam_role" "promote" {
  for_each = local.has_image

  name                 = "github-promote-images"
  description          = "Workflows of ${var.repository} tag the images that prod runs."
  assume_role_policy   = data.aws_iam_policy_document.trust["promote"].json
  max_session_duration = 3600

  depends_on = [aws_iam_openid_connect_provider.github]
}

resource "aws_iam_role_policy" "promote" {
  for_each = local.has_image

  name   = "tag-images"
  role   = aws_iam_role.promote[each.key].name
  policy = data.aws_iam_policy_document.promote[each.key].json
}
