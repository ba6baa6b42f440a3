locals {
  logs = "arn:${data.aws_partition.current.partition}:logs:${var.region}:${var.account_id}"
}

resource "aws_cloudwatch_log_group" "flow" {
  name              = "/aws/vpc/${var.environment}-file-processing/flow"
  retention_in_days = var.flow_log_retention_days
}

resource "aws_flow_log" "this" {
  vpc_id                   = aws_vpc.this.id
  traffic_type             = "ALL"
  log_destination_type     = "cloud-watch-logs"
  log_destination          = aws_cloudwatch_log_group.flow.arn
  iam_role_arn             = aws_iam_role.flow.arn
  max_aggregation_interval = 600

  tags = { Name = "${var.environment}-file-processing" }

  # At destroy the flow log goes first, then the right to write, then the group: a late record does not make the group again.
  depends_on = [aws_iam_role_policy.flow]
}

resource "aws_iam_role" "flow" {
  name        = "${var.environment}-vpc-flow-logs"
  description = "VPC flow logs write to their log group"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "vpc-flow-logs.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "flow" {
  name = "write"
  role = aws_iam_role.flow.id

  policy = jsonencode({
    Version = "2012-10-17"
    # These five are the least that AWS lists: docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource = "${local.logs}:log-group:${aws_cloudwatch_log_group.flow.name}:*"
      },
      {
        # Asked for all groups of the account.
        Effect   = "Allow"
        Action   = "logs:DescribeLogGroups"
        Resource = "${local.logs}:log-group:*"
      },
    ]
  })
}
