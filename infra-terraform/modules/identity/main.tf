resource "aws_cognito_user_pool" "this" {
  name                = "${var.environment}-file-processing"
  deletion_protection = var.deletion_protection ? "ACTIVE" : "INACTIVE"
  # Managed login with `resource` (RFC 8707), which MCP clients send, needs more than LITE.
  user_pool_tier    = "ESSENTIALS"
  alias_attributes  = ["email"]
  mfa_configuration = var.mfa

  auto_verified_attributes = ["email"]

  username_configuration {
    case_sensitive = false
  }

  # People of the company: nobody signs up by themselves.
  admin_create_user_config {
    allow_admin_create_user_only = true
  }

  password_policy {
    minimum_length                   = 14
    require_lowercase                = true
    require_uppercase                = true
    require_numbers                  = true
    require_symbols                  = false
    temporary_password_validity_days = 3
    password_history_size            = 5
  }

  dynamic "software_token_mfa_configuration" {
    for_each = var.mfa == "OFF" ? [] : [true]

    content {
      enabled = true
    }
  }

  account_recovery_setting {
    recovery_mechanism {
      name     = "verified_email"
      priority = 1
    }
  }
}

resource "aws_cognito_user_group" "this" {
  for_each = var.groups

  name         = each.value
  user_pool_id = aws_cognito_user_pool.this.id
}

resource "aws_cognito_user_pool_domain" "this" {
  domain       = var.domain_prefix
  user_pool_id = aws_cognito_user_pool.this.id
  # Version 2 answers "Login pages unavailable" to each client without a branding style, which provider 5.100 cannot make.
  # https://docs.aws.amazon.com/cognito/latest/developerguide/managed-login-brandingeditor.html
  managed_login_version = 1
}

# What a token may be asked for by `resource`: its audience.
resource "aws_cognito_resource_server" "this" {
  for_each = toset([var.api_url, "${var.api_url}/mcp"])

  identifier   = each.value
  name         = each.value
  user_pool_id = aws_cognito_user_pool.this.id
}
