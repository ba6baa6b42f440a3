locals {
  # Rules of the core set that read a body. Files, flows and tool calls look like attacks to them, so they only count;
  # the rule "bodies" then blocks on what they found, wherever no file is sent.
  body_rules = {
    SizeRestrictions_BODY   = "SizeRestrictions_Body"
    CrossSiteScripting_BODY = "CrossSiteScripting_Body"
    GenericLFI_BODY         = "GenericLFI_Body"
    GenericRFI_BODY         = "GenericRFI_Body"
    EC2MetaDataSSRF_BODY    = "EC2MetaDataSSRF_Body"
  }
  body_labels = [for label in local.body_rules : "awswaf:managed:aws:core-rule-set:${label}"]
  # A program registers its redirect URI at /oauth/register, often http://127.0.0.1, which GenericRFI looks for.
  file_paths = ["/api/files", "/mcp", "/oauth/"]

  # Rules of the core set that read a query. A program's login has its redirect URI there, and its sealed registration,
  # so they only count, and the rule "queries" blocks on every other path:
  # docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-baseline.html
  query_rules = {
    GenericRFI_QUERYARGUMENTS    = "GenericRFI_QueryArguments"
    SizeRestrictions_QUERYSTRING = "SizeRestrictions_QueryString"
  }
  query_labels = [for label in local.query_rules : "awswaf:managed:aws:core-rule-set:${label}"]
  login_path   = "/oauth/authorize"

  # The load balancer's session on app., a program's token on api.
  credentials = {
    cookie        = { text = "awselbauthsessioncookie-0=", place = "CONTAINS" }
    authorization = { text = "bearer ", place = "STARTS_WITH" }
  }

  managed_rules = {
    AWSManagedRulesAmazonIpReputationList = { priority = 10, counted = [] }
    AWSManagedRulesKnownBadInputsRuleSet  = { priority = 20, counted = [] }
    AWSManagedRulesCommonRuleSet          = { priority = 30, counted = keys(merge(local.body_rules, local.query_rules)) }
  }
}

resource "aws_wafv2_web_acl" "this" {
  #checkov:skip=CKV_AWS_192:AWSManagedRulesKnownBadInputsRuleSet is among the managed rules, by a dynamic block that the scan cannot read
  name        = "${var.environment}-public"
  description = "What reaches the internet load balancer of ${var.environment}"
  scope       = "REGIONAL"

  default_action {
    allow {}
  }

  # A flood from one address, whatever it claims to be.
  rule {
    name     = "rate"
    priority = 0

    action {
      block {
        custom_response {
          response_code = 429
        }
      }
    }

    statement {
      rate_based_statement {
        limit              = var.rate_limit
        aggregate_key_type = "IP"
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "rate"
      sampled_requests_enabled   = true
    }
  }

  # The firewall judges before the login does, so it sees only whether a request has credentials, not whether they are
  # true. Invented ones are refused behind it, at little cost, and fall under the rule above.
  rule {
    name     = "rate-anonymous"
    priority = 1

    action {
      block {
        custom_response {
          response_code = 429
        }
      }
    }

    statement {
      rate_based_statement {
        limit              = var.anonymous_rate_limit
        aggregate_key_type = "IP"

        scope_down_statement {
          not_statement {
            statement {
              or_statement {
                dynamic "statement" {
                  for_each = local.credentials

                  content {
                    byte_match_statement {
                      search_string         = statement.value.text
                      positional_constraint = statement.value.place

                      field_to_match {
                        single_header {
                          name = statement.key
                        }
                      }

                      text_transformation {
                        priority = 0
                        type     = "LOWERCASE"
                      }
                    }
                  }
                }
              }
            }
          }
        }
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "rate-anonymous"
      sampled_requests_enabled   = true
    }
  }

  dynamic "rule" {
    for_each = local.managed_rules

    content {
      name     = rule.key
      priority = rule.value.priority

      override_action {
        none {}
      }

      statement {
        managed_rule_group_statement {
          vendor_name = "AWS"
          name        = rule.key

          dynamic "rule_action_override" {
            for_each = rule.value.counted

            content {
              name = rule_action_override.value

              action_to_use {
                count {}
              }
            }
          }
        }
      }

      visibility_config {
        cloudwatch_metrics_enabled = true
        metric_name                = rule.key
        sampled_requests_enabled   = true
      }
    }
  }

  rule {
    name     = "bodies"
    priority = 40

    action {
      block {}
    }

    statement {
      and_statement {
        statement {
          or_statement {
            dynamic "statement" {
              for_each = local.body_labels

              content {
                label_match_statement {
                  scope = "LABEL"
                  key   = statement.value
                }
              }
            }
          }
        }

        statement {
          byte_match_statement {
            search_string         = local.hosts.api
            positional_constraint = "EXACTLY"

            field_to_match {
              single_header {
                name = "host"
              }
            }

            text_transformation {
              priority = 0
              type     = "LOWERCASE"
            }
          }
        }

        dynamic "statement" {
          for_each = local.file_paths

          content {
            not_statement {
              statement {
                byte_match_statement {
                  search_string         = statement.value
                  positional_constraint = "STARTS_WITH"

                  field_to_match {
                    uri_path {}
                  }

                  text_transformation {
                    priority = 0
                    type     = "NONE"
                  }
                }
              }
            }
          }
        }
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "bodies"
      sampled_requests_enabled   = true
    }
  }

  rule {
    name     = "queries"
    priority = 50

    action {
      block {}
    }

    statement {
      and_statement {
        statement {
          or_statement {
            dynamic "statement" {
              for_each = local.query_labels

              content {
                label_match_statement {
                  scope = "LABEL"
                  key   = statement.value
                }
              }
            }
          }
        }

        statement {
          not_statement {
            statement {
              byte_match_statement {
                search_string         = local.login_path
                positional_constraint = "EXACTLY"

                field_to_match {
                  uri_path {}
                }

                text_transformation {
                  priority = 0
                  type     = "NONE"
                }
              }
            }
          }
        }
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "queries"
      sampled_requests_enabled   = true
    }
  }

  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = "${var.environment}-public"
    sampled_requests_enabled   = true
  }
}

resource "aws_wafv2_web_acl_association" "public" {
  resource_arn = aws_lb.this["public"].arn
  web_acl_arn  = aws_wafv2_web_acl.this.arn
}

# AWS wants this name to begin so.
resource "aws_cloudwatch_log_group" "firewall" {
  name              = "aws-waf-logs-${var.environment}-public"
  retention_in_days = var.log_retention_days
}

resource "aws_wafv2_web_acl_logging_configuration" "this" {
  resource_arn            = aws_wafv2_web_acl.this.arn
  log_destination_configs = [aws_cloudwatch_log_group.firewall.arn]

  dynamic "redacted_fields" {
    for_each = toset(["authorization", "cookie"])

    content {
      single_header {
        name = redacted_fields.value
      }
    }
  }
}
