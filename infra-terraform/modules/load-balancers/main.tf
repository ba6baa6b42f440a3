locals {
  hosts = { for name in ["app", "api", "argocd"] : name => "${name}.${var.domain}" }

  # A target group belongs to one load balancer, so the gateway has two.
  target_groups = {
    frontend              = { port = 7860, health = "/readyz", load_balancer = "public" }
    agentgateway          = { port = 8080, health = "/readyz", load_balancer = "public" }
    agentgateway-internal = { port = 8080, health = "/readyz", load_balancer = "internal" }
    argocd                = { port = 8080, health = "/healthz", load_balancer = "internal" }
  }

  load_balancers = {
    public   = { internal = false, subnets = var.public_subnet_ids }
    internal = { internal = true, subnets = var.internal_subnet_ids }
  }

  certificate_arn = var.hosted_zone_id == null ? var.certificate_arn : aws_acm_certificate_validation.this[0].certificate_arn
}

resource "aws_lb" "this" {
  #checkov:skip=CKV_AWS_150:deletion protection is on unless an environment says that it may go, as dev does
  #checkov:skip=CKV2_AWS_28:the public one has the firewall (aws_wafv2_web_acl_association.public), by a key that the scan cannot follow
  #checkov:skip=CKV2_AWS_76:the firewall has that rule set, by a dynamic block that the scan cannot read
  for_each = local.load_balancers

  name                       = "${var.environment}-${each.key}"
  load_balancer_type         = "application"
  internal                   = each.value.internal
  subnets                    = each.value.subnets
  security_groups            = [aws_security_group.this[each.key].id]
  drop_invalid_header_fields = true
  desync_mitigation_mode     = "strictest"
  enable_deletion_protection = var.deletion_protection
  idle_timeout               = 300 # a chat's answer is one response that lasts as long as the work

  access_logs {
    enabled = true
    bucket  = var.access_logs_bucket
    prefix  = "alb/${each.key}"
  }
}

resource "aws_lb_target_group" "this" {
  for_each = local.target_groups

  name                          = "${var.environment}-${each.key}"
  vpc_id                        = var.vpc_id
  target_type                   = "ip"
  protocol                      = "HTTP"
  port                          = each.value.port
  deregistration_delay          = 60
  load_balancing_algorithm_type = "least_outstanding_requests"

  health_check {
    path                = each.value.health
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }

  lifecycle {
    precondition {
      condition     = length("${var.environment}-${each.key}") <= 32
      error_message = "The name of a target group must not exceed 32 characters."
    }
  }
}
