# What a person feels, or will soon: each alarm says what to look at.
locals {
  load_balancer = { LoadBalancer = var.public_alb_arn_suffix }

  public_groups = { for group, suffix in var.target_group_arn_suffixes : group => merge(local.load_balancer, { TargetGroup = suffix }) if !endswith(group, "-internal") && group != "argocd" }

  alarms = merge(
    {
      errors = {
        description = "Over 20 requests in 5 minutes failed: look at the target groups' health and the gateway's log."
        namespace   = "AWS/ApplicationELB", dimensions = local.load_balancer
        metric      = "HTTPCode_Target_5XX_Count", statistic = "Sum", period = 300, periods = 2, operator = "GreaterThanThreshold"
        # A few of them are a pod that went.
        threshold = 20, missing = "notBreaching"
      }
      load-balancer-errors = {
        description = "The load balancer itself answers 5xx: no target is healthy, or they do not answer in time."
        namespace   = "AWS/ApplicationELB", dimensions = local.load_balancer
        metric      = "HTTPCode_ELB_5XX_Count", statistic = "Sum", period = 300, periods = 2, operator = "GreaterThanThreshold"
        threshold   = 10, missing = "notBreaching"
      }
      jobs-wait = {
        description = "A job has waited for over 10 minutes: look at the worker's replicas and its log."
        namespace   = "AWS/SQS", dimensions = { QueueName = var.queue_name }
        metric      = "ApproximateAgeOfOldestMessage", statistic = "Maximum", period = 300, periods = 2, operator = "GreaterThanThreshold"
        threshold   = 600, missing = "notBreaching"
      }
      jobs-dead = {
        description = "A message was received ten times and put aside: look at it, then at the worker's log."
        namespace   = "AWS/SQS", dimensions = { QueueName = var.dead_letter_queue_name }
        metric      = "ApproximateNumberOfMessagesVisible", statistic = "Maximum", period = 300, periods = 1, operator = "GreaterThanThreshold"
        threshold   = 0, missing = "notBreaching"
      }
      table-throttled = {
        description = "DynamoDB refuses writes to the application's table for being too many."
        namespace   = "AWS/DynamoDB", dimensions = { TableName = var.jobs_table_name }
        # Of a whole table: ThrottledRequests is told by operation only.
        metric    = "WriteThrottleEvents", statistic = "Sum", period = 300, periods = 2, operator = "GreaterThanThreshold"
        threshold = 0, missing = "notBreaching"
      }
      nodes-failed = {
        description = "A node is not ready: look at the node group and kubectl describe node."
        namespace   = "ContainerInsights", dimensions = { ClusterName = var.cluster_name }
        metric      = "cluster_failed_node_count", statistic = "Maximum", period = 300, periods = 3, operator = "GreaterThanThreshold"
        threshold   = 0, missing = "missing"
      }
    },
    {
      for group, dimensions in local.public_groups : "${group}-slow" => {
        description = "1 in 20 requests to ${group} takes over ${var.slow_seconds} s."
        namespace   = "AWS/ApplicationELB", dimensions = dimensions
        metric      = "TargetResponseTime", statistic = "p95", period = 300, periods = 3, operator = "GreaterThanThreshold"
        threshold   = var.slow_seconds, missing = "notBreaching"
      }
    },
    {
      for group, dimensions in local.public_groups : "${group}-down" => {
        description = "No pod of ${group} is healthy."
        namespace   = "AWS/ApplicationELB", dimensions = dimensions
        metric      = "HealthyHostCount", statistic = "Minimum", period = 60, periods = 3, operator = "LessThanThreshold"
        threshold   = 1, missing = "breaching"
      }
    },
    var.database_instance_identifier == null ? {} : {
      database-full = {
        description = "Less than 2 GiB of the database's storage is free."
        namespace   = "AWS/RDS", dimensions = { DBInstanceIdentifier = var.database_instance_identifier }
        metric      = "FreeStorageSpace", statistic = "Minimum", period = 300, periods = 1, operator = "LessThanThreshold"
        threshold   = 2147483648, missing = "missing"
      }
      database-busy = {
        description = "The database's processor is over 90 % for 15 minutes."
        namespace   = "AWS/RDS", dimensions = { DBInstanceIdentifier = var.database_instance_identifier }
        metric      = "CPUUtilization", statistic = "Average", period = 300, periods = 3, operator = "GreaterThanThreshold"
        threshold   = 90, missing = "missing"
      }
    },
  )
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name        = "${var.environment}-${each.key}"
  alarm_description = "${each.value.description} Runbook: docs/runbooks/${each.key}.md"

  namespace   = each.value.namespace
  metric_name = each.value.metric
  dimensions  = each.value.dimensions

  # CloudWatch knows percentiles by another name than sums.
  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  period              = each.value.period
  evaluation_periods  = each.value.periods
  comparison_operator = each.value.operator
  threshold           = each.value.threshold
  treat_missing_data  = each.value.missing

  alarm_actions = [local.topic_arn]
  ok_actions    = [local.topic_arn]

  depends_on = [aws_sns_topic.alarms]
}
