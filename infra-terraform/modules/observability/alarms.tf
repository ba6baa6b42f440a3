# What a person feels, or will soon: each alarm says what to look at. Metrics and dimensions of ContainerInsights are those of
# aws/amazon-cloudwatch-agent (translator/translate/otel/exporter/awsemf/kubernetes.go), those of
# ContainerInsights/Prometheus are declared in modules/cluster/cloudwatch.tf.
locals {
  cluster = { ClusterName = var.cluster_name }

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
        namespace   = "ContainerInsights", dimensions = local.cluster
        metric      = "cluster_failed_node_count", statistic = "Maximum", period = 300, periods = 3, operator = "GreaterThanThreshold"
        threshold   = 0, missing = "missing"
      }
      pods-crash = {
        description = "A container of any namespace, Argo CD and controllers included, has been restarting again and again for 15 minutes."
        namespace   = "ContainerInsights", dimensions = local.cluster
        metric      = "pod_container_status_waiting_reason_crash_loop_back_off", statistic = "Maximum", period = 300, periods = 3, operator = "GreaterThanThreshold"
        threshold   = 0, missing = "notBreaching"
      }
      workloads-unavailable = {
        description = "A Deployment of any namespace, Argo CD and controllers included, has lacked a replica for 15 minutes."
        namespace   = "ContainerInsights", dimensions = local.cluster
        metric      = "status_replicas_unavailable", statistic = "Maximum", period = 300, periods = 3, operator = "GreaterThanThreshold"
        threshold   = 0, missing = "missing"
      }
      department-unreachable = {
        description = "The gateway has not reached a department's server for 15 minutes."
        namespace   = "ContainerInsights/Prometheus", dimensions = local.cluster
        metric      = "agentgateway_department_circuit", statistic = "Maximum", period = 300, periods = 3, operator = "GreaterThanThreshold"
        threshold   = 0, missing = "notBreaching"
      }
      department-data-stale = {
        description = "A department's server has not been able to load the newest version of a data set for 15 minutes."
        namespace   = "ContainerInsights/Prometheus", dimensions = local.cluster
        metric      = "mcp_dataset_refresh_failing", statistic = "Maximum", period = 300, periods = 3, operator = "GreaterThanThreshold"
        threshold   = 0, missing = "notBreaching"
      }
      metrics-missing = {
        description = "CloudWatch has got no metrics of our services for 15 minutes."
        namespace   = "ContainerInsights/Prometheus", dimensions = local.cluster
        # A counter without labels: every gateway publishes it from its start.
        metric    = "agentgateway_rate_limited_total", statistic = "SampleCount", period = 300, periods = 3, operator = "LessThanThreshold"
        threshold = 1, missing = "breaching"
      }
      certificate-expires = {
        description = "The load balancers' certificate expires in less than 30 days; ACM renews its own 60 days before."
        namespace   = "AWS/CertificateManager", dimensions = { CertificateArn = var.certificate_arn }
        metric      = "DaysToExpiry", statistic = "Minimum", period = 86400, periods = 1, operator = "LessThanThreshold"
        # ACM publishes nothing any more once it has expired: the alarm then stays as it is.
        threshold = 30, missing = "ignore"
      }
    },
    {
      for name, id in var.vpn_connection_ids : "vpn-tunnel-down" => {
        description = "A tunnel of the VPN connection ${name} has been down for 15 minutes."
        namespace   = "AWS/VPN", dimensions = { VpnId = id }
        # Of a connection: 1 while both tunnels are up, less while one is not.
        metric    = "TunnelState", statistic = "Average", period = 300, periods = 3, operator = "LessThanThreshold"
        threshold = 1, missing = "missing"
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

# A gateway refuses a connection when 55,000 of them go to one address and port.
resource "aws_cloudwatch_metric_alarm" "nat" {
  alarm_name        = "${var.environment}-nat-ports"
  alarm_description = "A NAT gateway had no port left for a connection to the internet. Runbook: docs/runbooks/nat-ports.md"

  dynamic "metric_query" {
    for_each = values(var.nat_gateway_ids)

    content {
      id = "gateway${metric_query.key}"

      metric {
        namespace   = "AWS/NATGateway"
        metric_name = "ErrorPortAllocation"
        dimensions  = { NatGatewayId = metric_query.value }
        stat        = "Sum"
        period      = 300
      }
    }
  }

  metric_query {
    id          = "all"
    expression  = "SUM(METRICS())"
    label       = "Refused connections of all gateways"
    return_data = true
  }

  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"

  alarm_actions = [local.topic_arn]
  ok_actions    = [local.topic_arn]

  depends_on = [aws_sns_topic.alarms]
}
