locals {
  widgets = {
    "Objective: requests to the gateway that were not answered 5xx, in percent (99.5)" = [
      ["AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", "LoadBalancer", local.gateway.LoadBalancer, "TargetGroup", local.gateway.TargetGroup, { stat = "Sum", id = "target", visible = false }],
      ["AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", "LoadBalancer", local.gateway.LoadBalancer, { stat = "Sum", id = "balancer", visible = false }],
      ["AWS/ApplicationELB", "RequestCount", "LoadBalancer", local.gateway.LoadBalancer, "TargetGroup", local.gateway.TargetGroup, { stat = "Sum", id = "requests", visible = false }],
      [{ expression = "100 - 100 * (${local.objectives["availability-budget"].bad}) / (${local.objectives["availability-budget"].all})", label = "answered" }],
    ]
    "Objective: answers of the gateway that began within ${var.slow_seconds} s, in percent (95)" = [
      ["AWS/ApplicationELB", "TargetResponseTime", "LoadBalancer", local.gateway.LoadBalancer, "TargetGroup", local.gateway.TargetGroup, { stat = "PR(:${var.slow_seconds})", label = "quick" }],
    ]
    "Objective: results in time, in percent (95)" = [
      ["ContainerInsights/Prometheus", "application_results_late_total", "ClusterName", var.cluster_name, { stat = "Sum", id = "late", visible = false }],
      ["ContainerInsights/Prometheus", "application_results_total", "ClusterName", var.cluster_name, { stat = "Sum", id = "results", visible = false }],
      [{ expression = "100 - 100 * (${local.objectives["results-budget"].bad}) / (${local.objectives["results-budget"].all})", label = "in time" }],
    ]
    "Results that came late or not at all, by department" = [
      [{ expression = "SEARCH('{ContainerInsights/Prometheus,ClusterName,department} MetricName=\"application_results_late_total\" ClusterName=\"${var.cluster_name}\"', 'Sum', 300)" }],
    ]
    "Requests, and those that failed" = [
      ["AWS/ApplicationELB", "RequestCount", "LoadBalancer", var.public_alb_arn_suffix, { stat = "Sum" }],
      ["AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", "LoadBalancer", var.public_alb_arn_suffix, { stat = "Sum" }],
      ["AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", "LoadBalancer", var.public_alb_arn_suffix, { stat = "Sum" }],
    ]
    "How long 19 of 20 requests take at most" = [
      for group, dimensions in local.public_groups :
      ["AWS/ApplicationELB", "TargetResponseTime", "TargetGroup", dimensions.TargetGroup, "LoadBalancer", dimensions.LoadBalancer, { stat = "p95", label = group }]
    ]
    "From on-premises" = [
      ["AWS/ApplicationELB", "RequestCount", "LoadBalancer", var.internal_alb_arn_suffix, { stat = "Sum" }],
      ["AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", "LoadBalancer", var.internal_alb_arn_suffix, { stat = "Sum" }],
    ]
    "Jobs that wait" = [
      ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", var.queue_name, { stat = "Maximum" }],
      ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", var.queue_name, { stat = "Maximum", yAxis = "right" }],
    ]
    "Jobs put aside" = [
      ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", var.dead_letter_queue_name, { stat = "Maximum" }],
    ]
    "Calls of departments' tools, and data sets that are not refreshed" = [
      ["ContainerInsights/Prometheus", "agentgateway_mcp_calls_total", "ClusterName", var.cluster_name, { stat = "Sum" }],
      ["ContainerInsights/Prometheus", "mcp_dataset_refresh_failing", "ClusterName", var.cluster_name, { stat = "Maximum", yAxis = "right" }],
    ]
    "Jobs in progress, and rows enriched" = [
      ["ContainerInsights/Prometheus", "application_jobs_running", "ClusterName", var.cluster_name, { stat = "Maximum" }],
      ["ContainerInsights/Prometheus", "application_rows_total", "ClusterName", var.cluster_name, { stat = "Sum", yAxis = "right" }],
    ]
    "Processor and memory of the cluster" = [
      ["ContainerInsights", "node_cpu_utilization", "ClusterName", var.cluster_name, { stat = "Average" }],
      ["ContainerInsights", "node_memory_utilization", "ClusterName", var.cluster_name, { stat = "Average" }],
    ]
  }
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = "${var.environment}-file-processing"

  dashboard_body = jsonencode({
    widgets = [for index, title in keys(local.widgets) : {
      type       = "metric"
      x          = index % 2 * 12
      y          = floor(index / 2) * 6
      width      = 12
      height     = 6
      properties = { title = title, region = var.region, period = 300, view = "timeSeries", metrics = local.widgets[title] }
    }]
  })
}
