data "aws_partition" "current" {}

locals {
  signing_key_alias = "alias/${var.environment}-gateway-signing"
  role_arns         = { for role in keys(var.on_premises_groups) : role => "arn:${data.aws_partition.current.partition}:iam::${var.account_id}:role/${role}" }
  roles_anywhere    = var.on_premises_certificate_authority == null ? {} : { this = var.on_premises_certificate_authority }
}

# Machines in the company's data centres prove a certificate of the company's own authority, and get a role's credentials.
resource "aws_rolesanywhere_trust_anchor" "this" {
  for_each = local.roles_anywhere

  name    = "${var.environment}-on-premises"
  enabled = true

  source {
    source_type = "CERTIFICATE_BUNDLE"

    source_data {
      x509_certificate_data = each.value
    }
  }
}

resource "aws_rolesanywhere_profile" "this" {
  for_each = local.roles_anywhere

  name             = "${var.environment}-on-premises"
  enabled          = true
  duration_seconds = 3600
  role_arns        = [for role in aws_iam_role.on_premises : role.arn]
}

data "aws_iam_policy_document" "on_premises" {
  for_each = var.on_premises_groups

  # Within the account: who has sts:AssumeRole for this role, such as a deployment or a developer's role.
  statement {
    sid     = "AccountDecidesByIam"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.current.partition}:iam::${var.account_id}:root"]
    }
  }

  dynamic "statement" {
    for_each = aws_rolesanywhere_trust_anchor.this

    content {
      sid     = "CertificateOfThisRole"
      actions = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]

      principals {
        type        = "Service"
        identifiers = ["rolesanywhere.amazonaws.com"]
      }

      condition {
        test     = "ArnEquals"
        variable = "aws:SourceArn"
        values   = [statement.value.arn]
      }

      condition {
        test     = "StringEquals"
        variable = "aws:PrincipalTag/x509Subject/CN"
        values   = [each.key]
      }
    }
  }
}

# No policy: all that such a role can do is to say who it is, which the gateway turns into its groups.
resource "aws_iam_role" "on_premises" {
  for_each = var.on_premises_groups

  name                 = each.key
  description          = "Calls the gateway from on-premises, with the groups ${join(", ", each.value)}."
  assume_role_policy   = data.aws_iam_policy_document.on_premises[each.key].json
  max_session_duration = 3600
}
