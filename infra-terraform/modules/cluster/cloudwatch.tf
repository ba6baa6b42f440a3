# The add-on amazon-cloudwatch-observability: Container Insights, the pods' logs, and the metrics of our services.
locals {
  # Metrics of our services that CloudWatch gets, summed over pods. The agent takes counters and gauges only: it drops
  # histograms (aws/amazon-cloudwatch-agent, plugins/inputs/prometheus/metrics_filter.go). Each costs 0.30 USD a month, and
  # each department's once more.
  service_metrics = [
    "agentgateway_mcp_calls_total",
    "agentgateway_rate_limited_total",
    "application_jobs_running",
    "application_results_total",
    "application_rows_total",
  ]
  department_metrics = [
    "agentgateway_department_circuit",
    "application_results_late_total",
    "mcp_dataset_refresh_failing",
  ]

  prometheus_job = "file-processing"

  # The agent that is in the pods' network. Its operator makes a Service of this name for the ports in its configuration.
  collector   = "cloudwatch-agent-prometheus"
  traces_port = 4318

  cloudwatch = {
    # Application Signals would inject init containers into every Deployment behind a Service, which the namespace's
    # restricted Pod Security then refuses.
    applicationSignals = { enabled = false }
    manager            = { applicationSignals = { autoMonitor = { monitorAllServices = false } } }

    agents = [
      {
        name = "cloudwatch-agent"
        config = { logs = { metrics_collected = { kubernetes = {
          enhanced_container_insights = true
          metrics_collection_interval = var.container_insights_seconds
        } } } }
      },
      {
        # One pod that asks each pod's port "metrics", and takes traces, which it sends to X-Ray. It is in the pods'
        # network, not the node's, so that NetworkPolicies know it.
        name        = local.collector
        mode        = "deployment"
        replicas    = 1
        hostNetwork = false
        resources   = { requests = { cpu = "50m", memory = "128Mi" }, limits = { cpu = "500m", memory = "512Mi" } }
        # Instance metadata is out of a pod's reach; without this the agent takes the node for a machine outside of AWS and
        # looks for credentials in a file (aws/amazon-cloudwatch-agent, translator/util/sdkutil.go).
        env = [{ name = "RUN_WITH_IRSA", value = "True" }]

        config = {
          agent  = { region = var.region }
          traces = { traces_collected = { otlp = { http_endpoint = "0.0.0.0:${local.traces_port}" } } }
          logs = { metrics_collected = { prometheus = {
            cluster_name           = local.name
            log_group_name         = aws_cloudwatch_log_group.containers["prometheus"].name
            prometheus_config_path = "/etc/prometheusconfig/prometheus.yaml"
            emf_processor = {
              metric_namespace = "ContainerInsights/Prometheus"
              metric_declaration = [
                {
                  source_labels    = ["job"]
                  label_matcher    = "^${local.prometheus_job}$"
                  dimensions       = [["ClusterName"]]
                  metric_selectors = ["^(${join("|", local.service_metrics)})$"]
                },
                {
                  source_labels    = ["job"]
                  label_matcher    = "^${local.prometheus_job}$"
                  dimensions       = [["ClusterName"], ["ClusterName", "department"]]
                  metric_selectors = ["^(${join("|", local.department_metrics)})$"]
                },
              ]
            }
          } } }
        }

        prometheus = { config = {
          global = { scrape_interval = "1m", scrape_timeout = "10s" }
          scrape_configs = [{
            job_name              = local.prometheus_job
            kubernetes_sd_configs = [{ role = "pod", namespaces = { names = ["file-processing"] } }]
            relabel_configs = [
              { action = "keep", source_labels = ["__meta_kubernetes_pod_container_port_name"], regex = "metrics" },
              { action = "keep", source_labels = ["__meta_kubernetes_pod_phase"], regex = "Running" },
            ]
            # What is not kept would be written to the log group, and paid for.
            metric_relabel_configs = [{
              action        = "keep"
              source_labels = ["__name__"]
              regex         = join("|", concat(local.service_metrics, local.department_metrics))
            }]
          }]
        } }
      },
    ]
  }
}

# Less than CloudWatchAgentServerPolicy: the agents write to the log groups that exist, and cannot create others. Metrics are
# log events in embedded metric format, so that cloudwatch:PutMetricData is not needed.
resource "aws_iam_role_policy" "cloudwatch" {
  name = "cloudwatch"
  role = aws_iam_role.addon["amazon-cloudwatch-observability"].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Write"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource = [for name in sort(keys(aws_cloudwatch_log_group.containers)) : "arn:${data.aws_partition.current.partition}:logs:${var.region}:${var.account_id}:log-group:/aws/containerinsights/${local.name}/${name}:*"]
      },
      {
        # Knows no resource.
        Sid      = "Trace"
        Effect   = "Allow"
        Action   = "xray:PutTraceSegments"
        Resource = "*"
      },
      {
        # Container Insights adds the names of volumes and Auto Scaling groups; these calls know no resource.
        Sid      = "Describe"
        Effect   = "Allow"
        Action   = ["ec2:DescribeTags", "ec2:DescribeVolumes"]
        Resource = "*"
      },
    ]
  })
}
