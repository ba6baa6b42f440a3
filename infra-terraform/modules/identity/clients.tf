locals {
  scopes = ["openid", "email", "profile"]
  clients = {
    # Programs, MCP clients: the gateway logs people in for them, with PKCE and no secret to leak. It has the one callback,
    # as Cognito registers no clients and compares the ports of callbacks.
    public = {
      secret        = false
      callback_urls = ["${var.api_url}/oauth/callback"]
      logout_urls   = []
    }
    alb = {
      secret        = true
      callback_urls = ["${var.app_url}/oauth2/idpresponse"]
      logout_urls   = [var.app_url]
    }
    argocd = {
      secret        = false
      callback_urls = ["${var.argocd_url}/auth/callback", "http://localhost:8085/auth/callback"]
      logout_urls   = [var.argocd_url]
    }
  }
}

resource "aws_cognito_user_pool_client" "this" {
  for_each = local.clients

  name            = "${var.environment}-${each.key}"
  user_pool_id    = aws_cognito_user_pool.this.id
  generate_secret = each.value.secret

  allowed_oauth_flows                  = ["code"]
  allowed_oauth_flows_user_pool_client = true
  allowed_oauth_scopes                 = local.scopes
  callback_urls                        = each.value.callback_urls
  logout_urls                          = each.value.logout_urls
  supported_identity_providers         = concat(["COGNITO"], aws_cognito_identity_provider.saml[*].provider_name)
  explicit_auth_flows                  = ["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
  prevent_user_existence_errors        = "ENABLED"
  enable_token_revocation              = true
  read_attributes                      = ["email", "email_verified", "name"]
  # A login by the company's provider fails unless the client may write what is mapped.
  write_attributes = var.saml == null ? ["name"] : ["email", "name"]

  access_token_validity  = 1
  id_token_validity      = 1
  refresh_token_validity = 7

  token_validity_units {
    access_token  = "hours"
    id_token      = "hours"
    refresh_token = "days"
  }
}

# The company's own logins. SAML has no shared secret, which an OIDC provider's would be in the state.
resource "aws_cognito_identity_provider" "saml" {
  count = var.saml == null ? 0 : 1

  user_pool_id  = aws_cognito_user_pool.this.id
  provider_name = var.saml.name
  provider_type = "SAML"

  provider_details = {
    MetadataURL = var.saml.metadata_url
    IDPSignout  = "false"
  }

  attribute_mapping = {
    email = var.saml.email_attribute
    name  = var.saml.name_attribute
  }

  lifecycle {
    ignore_changes = [provider_details["ActiveEncryptionCertificate"], provider_details["SLORedirectBindingURI"], provider_details["SSORedirectBindingURI"]] # read by Cognito from the metadata
  }
}
