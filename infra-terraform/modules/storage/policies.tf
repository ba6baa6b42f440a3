# Services of AWS that write logs, each under its own prefix and for what is in this account.
locals {
  deliveries = {
    alb = {
      service = "logdelivery.elasticloadbalancing.amazonaws.com"
      source  = "arn:${data.aws_partition.current.partition}:elasticloadbalancing:*:${var.account_id}:loadbalancer/*"
    }
    s3 = {
      service = "logging.s3.amazonaws.com"
      source  = "arn:${data.aws_partition.current.partition}:s3:::${var.environment}-*-${var.account_id}"
    }
  }
}

data "aws_iam_policy_document" "bucket" {
  for_each = local.arns

  statement {
    sid       = "RefusePlainHttp"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [each.value, "${each.value}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  statement {
    sid       = "RefuseOldTls"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [each.value, "${each.value}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "NumericLessThan"
      variable = "s3:TlsVersion"
      values   = ["1.2"]
    }
  }

  dynamic "statement" {
    for_each = each.key == "logs" ? local.deliveries : {}

    content {
      sid       = "Deliver${title(statement.key)}Logs"
      actions   = ["s3:PutObject"]
      resources = ["${each.value}/${statement.key}/*"]

      principals {
        type        = "Service"
        identifiers = [statement.value.service]
      }

      condition {
        test     = "ArnLike"
        variable = "aws:SourceArn"
        values   = [statement.value.source]
      }
    }
  }
}

resource "aws_s3_bucket_policy" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.bucket
  policy = data.aws_iam_policy_document.bucket[each.key].json

  depends_on = [aws_s3_bucket_public_access_block.this]
}
