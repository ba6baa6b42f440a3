# Terraform creates every log group before its writer starts, so that it has a retention. EKS and the agents would create
# groups that keep everything for ever, and that the next apply after a destroy would collide with.

resource "aws_cloudwatch_log_group" "control_plane" {
  name              = "/aws/eks/${local.name}/cluster"
  retention_in_days = var.log_retention_days
}

# application, dataplane and host are Fluent Bit's; performance and prometheus hold the metrics in embedded metric format.
resource "aws_cloudwatch_log_group" "containers" {
  for_each = toset(["application", "dataplane", "host", "performance", "prometheus"])

  name              = "/aws/containerinsights/${local.name}/${each.key}"
  retention_in_days = var.log_retention_days
}
