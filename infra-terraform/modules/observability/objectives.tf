# The objectives of docs/slo.md. An alarm goes off when the error budget of 30 days burns so fast that 2 % of it are gone
# within an hour, 5 % within 6 hours or 10 % within a day, and still burns: Google's SRE workbook, "Alerting on SLOs".
# CloudWatch sums over a day at most, so the last is a day at three times the rate and not three days at once.
locals {
  gateway = { LoadBalancer = var.public_alb_arn_suffix, TargetGroup = var.target_group_arn_suffixes["agentgateway"] }

  objectives = {
    availability-budget = {
      description = "The gateway's error budget of 30 days burns: requests are answered 5xx."
      percent     = 99.5
      bad         = "FILL(target, 0) + FILL(balancer, 0)"
      all         = "FILL(requests, 0) + FILL(balancer, 0)"
      metrics = {
        target   = { namespace = "AWS/ApplicationELB", metric = "HTTPCode_Target_5XX_Count", dimensions = local.gateway, stat = "Sum" }
        balancer = { namespace = "AWS/ApplicationELB", metric = "HTTPCode_ELB_5XX_Count", dimensions = local.load_balancer, stat = "Sum" }
        requests = { namespace = "AWS/ApplicationELB", metric = "RequestCount", dimensions = local.gateway, stat = "Sum" }
      }
    }
    latency-budget = {
      description = "The gateway's budget of slow requests burns: answers do not begin within ${var.slow_seconds} s."
      percent     = 95
      bad         = "FILL(requests, 0) * (100 - FILL(quick, 100)) / 100"
      all         = "FILL(requests, 0)"
      metrics = {
        # The percentage of requests that took at most so long.
        quick    = { namespace = "AWS/ApplicationELB", metric = "TargetResponseTime", dimensions = local.gateway, stat = "PR(:${var.slow_seconds})" }
        requests = { namespace = "AWS/ApplicationELB", metric = "RequestCount", dimensions = local.gateway, stat = "Sum" }
      }
    }
    results-budget = {
      description = "The budget of late results burns: jobs take too long, or fail for no fault of the file."
      percent     = 95
      bad         = "FILL(late, 0)"
      all         = "FILL(results, 0)"
      metrics = {
        late    = { namespace = "ContainerInsights/Prometheus", metric = "application_results_late_total", dimensions = local.cluster, stat = "Sum" }
        results = { namespace = "ContainerInsights/Prometheus", metric = "application_results_total", dimensions = local.cluster, stat = "Sum" }
      }
    }
  }

  # Rate, hours that are looked at, and the minutes that say whether it still burns.
  burns = {
    fast   = { rate = 14.4, long = 3600, short = 300 }
    medium = { rate = 6, long = 21600, short = 1800 }
    slow   = { rate = 3, long = 86400, short = 7200 }
  }

  windows = merge([for objective, _ in local.objectives : merge([for burn, each in local.burns : {
    "${objective}-${burn}-long"  = { objective = objective, rate = each.rate, period = each.long, least = 10 }
    "${objective}-${burn}-short" = { objective = objective, rate = each.rate, period = each.short, least = 1 }
  }]...)]...)
}

# One window each, which tells nobody.
resource "aws_cloudwatch_metric_alarm" "window" {
  for_each = var.burn_alarms ? local.windows : {}

  alarm_name        = "${var.environment}-${each.key}"
  alarm_description = "Part of ${var.environment}-${each.value.objective}: over ${each.value.period / 60} minutes. Runbook: docs/runbooks/${each.value.objective}.md"

  dynamic "metric_query" {
    for_each = local.objectives[each.value.objective].metrics

    content {
      id = metric_query.key

      metric {
        namespace   = metric_query.value.namespace
        metric_name = metric_query.value.metric
        dimensions  = metric_query.value.dimensions
        stat        = metric_query.value.stat
        period      = each.value.period
      }
    }
  }

  metric_query {
    id    = "burned"
    label = "Percent that were not as promised"
    # A few of them are not worth waking anybody.
    expression  = "IF(${local.objectives[each.value.objective].bad} >= ${each.value.least}, 100 * (${local.objectives[each.value.objective].bad}) / (${local.objectives[each.value.objective].all}), 0)"
    return_data = true
  }

  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.rate * (100 - local.objectives[each.value.objective].percent)
  treat_missing_data  = "notBreaching"
}

resource "aws_cloudwatch_composite_alarm" "objective" {
  for_each = var.burn_alarms ? local.objectives : {}

  alarm_name        = "${var.environment}-${each.key}"
  alarm_description = "${each.value.description} Runbook: docs/runbooks/${each.key}.md"

  alarm_rule = join(" OR ", [for burn in keys(local.burns) :
    "(ALARM(\"${aws_cloudwatch_metric_alarm.window["${each.key}-${burn}-long"].alarm_name}\") AND ALARM(\"${aws_cloudwatch_metric_alarm.window["${each.key}-${burn}-short"].alarm_name}\"))"
  ])

  alarm_actions = [local.topic_arn]
  ok_actions    = [local.topic_arn]

  depends_on = [aws_sns_topic.alarms]
}
