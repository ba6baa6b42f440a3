data "aws_partition" "current" {}

locals {
  queue_name       = "${var.environment}-jobs"
  dead_letter_name = "${var.environment}-jobs-dead"
  jobs_table       = "${var.environment}-jobs"
  exchanges_table  = "${var.environment}-exchanges"

  sqs_arn      = "arn:${data.aws_partition.current.partition}:sqs:${var.region}:${var.account_id}"
  dynamodb_arn = "arn:${data.aws_partition.current.partition}:dynamodb:${var.region}:${var.account_id}:table"
}

resource "aws_sqs_queue" "jobs" {
  name                    = local.queue_name
  sqs_managed_sse_enabled = true

  # A worker extends it while it works; one that died is followed by another after this time.
  visibility_timeout_seconds = 60
  receive_wait_time_seconds  = 20
  # A job lives for at most a day; the message outlives it.
  message_retention_seconds = 345600

  # Five attempts are counted in the job itself; what is received twice as often is no job of ours.
  redrive_policy = jsonencode({
    deadLetterTargetArn = "${local.sqs_arn}:${local.dead_letter_name}"
    maxReceiveCount     = 10
  })

  depends_on = [aws_sqs_queue.dead_letter]
}

resource "aws_sqs_queue" "dead_letter" {
  name                      = local.dead_letter_name
  sqs_managed_sse_enabled   = true
  message_retention_seconds = 1209600
}

resource "aws_sqs_queue_redrive_allow_policy" "dead_letter" {
  queue_url = aws_sqs_queue.dead_letter.url

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = ["${local.sqs_arn}:${local.queue_name}"]
  })
}

data "aws_iam_policy_document" "tls_only" {
  for_each = { jobs = local.queue_name, dead_letter = local.dead_letter_name }

  statement {
    sid       = "RefusePlainHttp"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = ["${local.sqs_arn}:${each.value}"]

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
}

resource "aws_sqs_queue_policy" "jobs" {
  queue_url = aws_sqs_queue.jobs.url
  policy    = data.aws_iam_policy_document.tls_only["jobs"].json
}

resource "aws_sqs_queue_policy" "dead_letter" {
  queue_url = aws_sqs_queue.dead_letter.url
  policy    = data.aws_iam_policy_document.tls_only["dead_letter"].json
}
