# Roles for Terraform: a plan reads; only a run that a person has approved changes something.
locals {
  terraform_roles = merge(
    {
      plan = {
        does         = "read, for plans of Terraform on the main branch"
        subjects     = ["ref:refs/heads/main"]
        policy       = "ReadOnlyAccess"
        environments = var.apply_environments
      }
      apply = {
        does         = "apply Terraform, approved in an environment"
        subjects     = [for environment in var.apply_environments : "environment:${environment}"]
        environments = var.apply_environments
        # It makes roles and their policies: a principal that may do that can give itself every right.
        policy = "AdministratorAccess"
      }
    },
    # Anybody who may push a branch decides what runs in its pull request.
    length(var.preview_environments) == 0 ? {} : {
      preview = {
        does         = "read, for plans of Terraform in pull requests"
        subjects     = ["pull_request"]
        policy       = "ReadOnlyAccess"
        environments = var.preview_environments
      }
    },
  )
  readers = { for key, role in local.terraform_roles : key => role if role.policy == "ReadOnlyAccess" }
}

resource "aws_iam_role" "terraform" {
  for_each = local.terraform_roles

  name                 = "github-terraform-${each.key}"
  description          = "Workflows of ${var.repository} ${each.value.does}."
  assume_role_policy   = data.aws_iam_policy_document.trust[each.key].json
  max_session_duration = 3600

  depends_on = [aws_iam_openid_connect_provider.github]
}

resource "aws_iam_role_policy_attachment" "terraform" {
  #checkov:skip=CKV_AWS_274:a run that applies Terraform makes roles, so it may do all; a person approves each
  for_each = local.terraform_roles

  role       = aws_iam_role.terraform[each.key].name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/${each.value.policy}"
}

# A plan needs what things are like, not what they hold. Of objects it needs the states of its own environments: not the
# bootstrap's, not the state bucket's.
data "aws_iam_policy_document" "no_data" {
  for_each = local.readers

  statement {
    sid           = "NoObjectsButStates"
    effect        = "Deny"
    actions       = ["s3:GetObject", "s3:GetObjectVersion"]
    not_resources = [for environment in each.value.environments : "arn:${data.aws_partition.current.partition}:s3:::*/${environment}/terraform.tfstate"]
  }

  statement {
    sid    = "NoData"
    effect = "Deny"
    actions = [
      "dynamodb:BatchGetItem",
      "dynamodb:GetItem",
      "dynamodb:GetRecords",
      "dynamodb:PartiQLSelect",
      "dynamodb:Query",
      "dynamodb:Scan",
      "ecr:BatchGetImage",
      "ecr:GetDownloadUrlForLayer",
      "logs:FilterLogEvents",
      "logs:GetLogEvents",
      "logs:GetQueryResults",
      "logs:StartQuery",
      "secretsmanager:GetSecretValue",
      "sqs:ReceiveMessage",
      "ssm:GetParameter",
      "ssm:GetParameters",
      "ssm:GetParametersByPath",
    ]
    resources = ["*"]
  }

  # The answer holds the tunnels' keys. Only an environment with a VPN needs it, and no pull request plans one.
  dynamic "statement" {
    for_each = each.key == "preview" ? [true] : []

    content {
      sid       = "NoKeysOfTheVpn"
      effect    = "Deny"
      actions   = ["ec2:DescribeVpnConnections", "ec2:GetVpnConnectionDeviceSampleConfiguration"]
      resources = ["*"]
    }
  }
}

resource "aws_iam_role_policy" "no_data" {
  for_each = local.readers

  name   = "no-data"
  role   = aws_iam_role.terraform[each.key].name
  policy = data.aws_iam_policy_document.no_data[each.key].json
}
