data "aws_partition" "current" {}

locals {
  topic_name = "${var.environment}-alarms"
  topic_arn  = "arn:${data.aws_partition.current.partition}:sns:${var.region}:${var.account_id}:${local.topic_name}"
  log_groups = toset([for kind in ["application", "dataplane", "host", "performance"] : "/aws/containerinsights/${var.cluster_name}/${kind}"])
}

# The add-on writes to these; made here, so that they have a retention.
resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:Encrypted with CloudWatch's own key; logs hold no data of files.
  #checkov:skip=CKV_AWS_338:How long is the environment's choice; audit records that must last are exported from here.
  for_each = local.log_groups

  name              = each.value
  retention_in_days = var.log_retention_days
}

resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26:CloudWatch cannot publish to a topic with SNS's own key; an alarm's text is no secret.
  name = local.topic_name
}

data "aws_iam_policy_document" "topic" {
  statement {
    sid       = "AlarmsOfThisAccount"
    actions   = ["sns:Publish"]
    resources = [local.topic_arn]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }
  }
}

resource "aws_sns_topic_policy" "alarms" {
  arn    = aws_sns_topic.alarms.arn
  policy = data.aws_iam_policy_document.topic.json
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.alert_emails

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.value
}
