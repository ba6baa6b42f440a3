# Two roles for Terraform: pull requests read, so that a plan can be shown; only a run that a person has approved changes.
locals {
  terraform_roles = {
    plan = {
      name     = "github-terraform-plan"
      does     = "read, for plans of Terraform"
      subjects = ["pull_request", "ref:refs/heads/main"]
      policy   = "ReadOnlyAccess"
    }
    apply = {
      name     = "github-terraform-apply"
      does     = "apply Terraform, approved in an environment"
      subjects = [for environment in var.apply_environments : "environment:${environment}"]
      # It makes roles and their policies: whoever may do that has every right by a detour, so none is left out here.
      policy = "AdministratorAccess"
    }
  }
}

resource "aws_iam_role" "terraform" {
  for_each = local.terraform_roles

  name                 = each.value.name
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

# A plan needs what things are like, not what they hold; of objects, it needs the state.
data "aws_iam_policy_document" "no_data" {
  statement {
    sid           = "NoObjectsButState"
    effect        = "Deny"
    actions       = ["s3:GetObject", "s3:GetObjectVersion"]
    not_resources = ["arn:${data.aws_partition.current.partition}:s3:::*/*.tfstate"]
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
}

resource "aws_iam_role_policy" "no_data" {
  name   = "no-data"
  role   = aws_iam_role.terraform["plan"].name
  policy = data.aws_iam_policy_document.no_data.json
}
