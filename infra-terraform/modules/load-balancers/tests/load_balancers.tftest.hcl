provider "aws" {
  region                      = "ap-southeast-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  skip_region_validation      = true
}

variables {
  environment           = "prod"
  vpc_id                = "vpc-0a"
  public_subnet_ids     = ["subnet-0a", "subnet-0b", "subnet-0c"]
  internal_subnet_ids   = ["subnet-1a", "subnet-1b", "subnet-1c"]
  domain                = "files.example.com"
  hosted_zone_id        = "Z0123456789ABCDEFGHIJ"
  pod_security_group_id = "sg-0a"
  access_logs_bucket    = "prod-file-processing-logs-111122223333"
  on_premises_cidrs     = ["192.168.0.0/16"]
  cognito = {
    user_pool_arn    = "arn:aws:cognito-idp:ap-southeast-1:111122223333:userpool/ap-southeast-1_example"
    user_pool_domain = "prod-file-processing"
    client_id        = "example"
  }
}

# One plan for all: the schema of the firewall is so large that each takes about 10 s.
run "defaults" {
  command = plan

  # People log in on app and programs bring tokens to api.
  assert {
    condition     = { for name, rule in aws_lb_listener_rule.this : name => [for action in rule.action : action.type] if contains(["app", "app-gateway", "api"], name) } == { app = ["authenticate-cognito", "forward"], app-gateway = ["authenticate-cognito", "forward"], api = ["forward"] }
    error_message = "Every path of app. must need a login, and none of api.."
  }

  assert {
    condition     = aws_lb_listener_rule.this["app-gateway"].priority < aws_lb_listener_rule.this["app"].priority && aws_lb_listener_rule.this["api-no-browser"].priority < aws_lb_listener_rule.this["api"].priority
    error_message = "/gateway/* must be looked at before all other paths."
  }

  assert {
    condition     = one(aws_lb_listener_rule.this["api-no-browser"].action).type == "fixed-response"
    error_message = "The browser's paths must not exist on api.."
  }

  assert {
    condition     = alltrue([for listener in aws_lb_listener.https : listener.ssl_policy == "ELBSecurityPolicy-TLS13-1-3-2021-06"]) && aws_lb_listener.http.default_action[0].redirect[0].protocol == "HTTPS"
    error_message = "Listeners must speak TLS 1.3 alone, and HTTP must lead there."
  }

  # A target group has one load balancer and the name that manifests bind to.
  assert {
    condition     = { for name, group in aws_lb_target_group.this : name => "${group.name}:${group.port}" } == { frontend = "prod-frontend:7860", agentgateway = "prod-agentgateway:8080", agentgateway-internal = "prod-agentgateway-internal:8080", argocd = "prod-argocd:8080" }
    error_message = "Names or ports of target groups differ from the manifests'."
  }

  assert {
    condition     = alltrue([for rule in local.rules : rule.target == null ? true : local.target_groups[rule.target].load_balancer == rule.load_balancer])
    error_message = "A target group may be used by one load balancer only."
  }

  assert {
    condition     = alltrue([for group in aws_lb_target_group.this : length(group.name) <= 32]) && alltrue([for load_balancer in aws_lb.this : length(load_balancer.name) <= 32])
    error_message = "Names must not exceed 32 characters."
  }

  assert {
    condition     = aws_lb.this["internal"].internal && !aws_lb.this["public"].internal && alltrue([for load_balancer in aws_lb.this : load_balancer.access_logs[0].enabled && load_balancer.enable_deletion_protection])
    error_message = "One load balancer is internal; both write access logs and are protected."
  }

  # Only what must reaches a load balancer or a pod.
  assert {
    condition     = { for key, rule in aws_vpc_security_group_ingress_rule.on_premises : key => rule.from_port } == { "192.168.0.0/16" = 443 }
    error_message = "On-premises must reach HTTPS only."
  }

  assert {
    condition     = keys(aws_vpc_security_group_ingress_rule.from_load_balancer) == ["internal 8080", "public 7860", "public 8080"]
    error_message = "Pods must be open to load balancers on service ports only; not to 9090, the metrics."
  }

  # The firewall limits rates and counts bodies where files are sent.
  assert {
    condition     = toset([for rule in aws_wafv2_web_acl.this.rule : rule.name]) == toset(["rate", "rate-anonymous", "bodies", "queries", "AWSManagedRulesAmazonIpReputationList", "AWSManagedRulesKnownBadInputsRuleSet", "AWSManagedRulesCommonRuleSet"])
    error_message = "A rule is missing."
  }

  assert {
    condition = alltrue([
      for rule in aws_wafv2_web_acl.this.rule : length(rule.statement[0].managed_rule_group_statement[0].rule_action_override) == 7 if rule.name == "AWSManagedRulesCommonRuleSet"
    ])
    error_message = "The five rules that read a body and the two that read a query must count."
  }

  # A program on its users machine can log in.
  assert {
    condition = [
      for rule in aws_wafv2_web_acl.this.rule : rule.statement[0].and_statement[0].statement[1].not_statement[0].statement[0].byte_match_statement[0].search_string if rule.name == "queries"
    ] == ["/oauth/authorize"]
    error_message = "Queries must be free at the login's path alone: a redirect URI is often http://127.0.0.1."
  }

  assert {
    condition = contains(flatten([
      for rule in aws_wafv2_web_acl.this.rule : [
        for each in rule.statement[0].and_statement[0].statement : [for not in each.not_statement : not.statement[0].byte_match_statement[0].search_string]
      ] if rule.name == "bodies"
    ]), "/oauth/")
    error_message = "The body of a registration must be free."
  }

  # Names are made in the hosted zone.
  assert {
    condition     = keys(aws_route53_record.public) == ["api", "app"] && keys(aws_route53_zone.internal) == ["api", "argocd"]
    error_message = "app. and api. must be public names; api. and argocd. internal ones."
  }

  assert {
    condition     = aws_acm_certificate.this[0].subject_alternative_names == toset(["app.files.example.com", "api.files.example.com", "argocd.files.example.com"])
    error_message = "The certificate must be for all three hosts."
  }
}

run "a_certificate_of_ones_own_needs_no_zone" {
  command = plan

  variables {
    hosted_zone_id  = null
    certificate_arn = "arn:aws:acm:ap-southeast-1:111122223333:certificate/example"
  }

  assert {
    condition     = length(aws_acm_certificate.this) == 0 && length(aws_route53_record.public) == 0 && aws_lb_listener.https["public"].certificate_arn == "arn:aws:acm:ap-southeast-1:111122223333:certificate/example"
    error_message = "The given certificate must be used, and no name made."
  }
}

run "wrong_values_are_refused" {
  command = plan

  variables {
    environment         = "Prod"
    public_subnet_ids   = ["subnet-0a"]
    internal_subnet_ids = ["subnet-1a"]
    domain              = "https://files.example.com"
    hosted_zone_id      = null
    on_premises_cidrs   = ["0.0.0.0/0"]
    rate_limit          = 10
  }

  expect_failures = [
    var.environment, var.public_subnet_ids, var.internal_subnet_ids, var.domain, var.hosted_zone_id, var.on_premises_cidrs, var.rate_limit,
  ]
}
