locals {
  # TLS 1.3 alone; docs/decisions.md names the clients that this locks out.
  tls_policy = "ELBSecurityPolicy-TLS13-1-3-2021-06"

  rules = {
    # On app. the gateway takes the token that the load balancer vouches for; here nobody has logged in.
    api-no-browser = { load_balancer = "public", priority = 10, host = "api", paths = ["/gateway/*"], login = null, target = null }
    api            = { load_balancer = "public", priority = 20, host = "api", paths = [], login = null, target = "agentgateway" }
    # A script that asks gets 401, not a login page.
    app-gateway  = { load_balancer = "public", priority = 30, host = "app", paths = ["/gateway/*"], login = "deny", target = "agentgateway" }
    app          = { load_balancer = "public", priority = 40, host = "app", paths = [], login = "authenticate", target = "frontend" }
    internal     = { load_balancer = "internal", priority = 20, host = "api", paths = [], login = null, target = "agentgateway-internal" }
    argocd       = { load_balancer = "internal", priority = 30, host = "argocd", paths = [], login = null, target = "argocd" }
    internal-app = { load_balancer = "internal", priority = 10, host = "api", paths = ["/gateway/*"], login = null, target = null }
  }
}

resource "aws_lb_listener" "https" {
  for_each = local.load_balancers

  load_balancer_arn = aws_lb.this[each.key].arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = local.tls_policy
  certificate_arn   = local.certificate_arn

  # A host that is not ours.
  default_action {
    type = "fixed-response"

    fixed_response {
      content_type = "text/plain"
      message_body = "Not found"
      status_code  = "404"
    }
  }
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.this["public"].arn
  port              = 80
  protocol          = "HTTP"

  default_action {
    type = "redirect"

    redirect {
      protocol    = "HTTPS"
      port        = "443"
      status_code = "HTTP_301"
    }
  }
}

resource "aws_lb_listener_rule" "this" {
  for_each = local.rules

  listener_arn = aws_lb_listener.https[each.value.load_balancer].arn
  priority     = each.value.priority

  condition {
    host_header {
      values = [local.hosts[each.value.host]]
    }
  }

  dynamic "condition" {
    for_each = length(each.value.paths) > 0 ? [each.value.paths] : []

    content {
      path_pattern {
        values = condition.value
      }
    }
  }

  dynamic "action" {
    for_each = each.value.login != null ? [each.value.login] : []

    content {
      type  = "authenticate-cognito"
      order = 1

      authenticate_cognito {
        user_pool_arn              = var.cognito.user_pool_arn
        user_pool_client_id        = var.cognito.client_id
        user_pool_domain           = var.cognito.user_pool_domain
        scope                      = "openid email profile"
        on_unauthenticated_request = action.value
        session_timeout            = 43200 # a working day
      }
    }
  }

  dynamic "action" {
    for_each = each.value.target != null ? [each.value.target] : []

    content {
      type             = "forward"
      order            = 2
      target_group_arn = aws_lb_target_group.this[action.value].arn
    }
  }

  dynamic "action" {
    for_each = each.value.target == null ? ["404"] : []

    content {
      type  = "fixed-response"
      order = 2

      fixed_response {
        content_type = "text/plain"
        message_body = "Not found"
        status_code  = action.value
      }
    }
  }

  tags = { Name = each.key }
}
