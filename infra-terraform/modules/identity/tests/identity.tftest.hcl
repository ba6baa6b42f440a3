provider "aws" {
  region                      = "ap-southeast-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  skip_region_validation      = true
}

variables {
  environment        = "dev"
  account_id         = "111122223333"
  region             = "ap-southeast-1"
  app_url            = "https://app.example.com"
  api_url            = "https://api.example.com"
  argocd_url         = "https://argocd.example.com"
  domain_prefix      = "dev-file-processing-111122223333"
  groups             = ["finance", "finance-leads", "platform"]
  on_premises_groups = { dev-on-premises-finance = ["finance"] }
}

run "people_log_in_with_a_second_factor_and_nobody_signs_up" {
  command = plan

  assert {
    condition     = aws_cognito_user_pool.this.mfa_configuration == "ON" && aws_cognito_user_pool.this.software_token_mfa_configuration[0].enabled
    error_message = "A second factor must be needed."
  }

  assert {
    condition     = aws_cognito_user_pool.this.admin_create_user_config[0].allow_admin_create_user_only && aws_cognito_user_pool.this.deletion_protection == "ACTIVE"
    error_message = "Only administrators may create people, and nobody may delete the pool."
  }

  assert {
    condition     = keys(aws_cognito_user_group.this) == ["finance", "finance-leads", "platform"]
    error_message = "Each group must be made."
  }
}

run "only_the_load_balancer_has_a_secret_and_all_use_codes" {
  command = plan

  assert {
    condition     = { for name, client in aws_cognito_user_pool_client.this : name => client.generate_secret } == { alb = true, argocd = false, public = false }
    error_message = "Programs on people's machines and Argo CD must have no secret."
  }

  assert {
    condition     = alltrue([for client in values(aws_cognito_user_pool_client.this) : client.allowed_oauth_flows == toset(["code"]) && client.prevent_user_existence_errors == "ENABLED"])
    error_message = "Only the code flow may be allowed."
  }

  assert {
    condition     = aws_cognito_user_pool_client.this["public"].callback_urls == toset(["https://api.example.com/oauth/callback"])
    error_message = "Programs must come back to the gateway alone."
  }

  assert {
    condition     = aws_cognito_user_pool_client.this["alb"].callback_urls == toset(["https://app.example.com/oauth2/idpresponse"])
    error_message = "The load balancer must come back to its own path."
  }
}

run "gateway_signs_with_a_key_that_stays_in_kms" {
  command = plan

  assert {
    condition     = aws_kms_key.signing.customer_master_key_spec == "RSA_2048" && aws_kms_key.signing.key_usage == "SIGN_VERIFY" && aws_kms_alias.signing.name == "alias/dev-gateway-signing"
    error_message = "The signing key must be RSA_2048 for SIGN_VERIFY, found by its alias."
  }
}

run "on_premises_roles_have_groups_and_no_rights" {
  command = plan

  assert {
    condition     = output.iam_role_groups == { "arn:aws:iam::111122223333:role/dev-on-premises-finance" = toset(["finance"]) }
    error_message = "Each role must map to its groups."
  }

  assert {
    condition     = keys(aws_iam_role.on_premises) == ["dev-on-premises-finance"] && aws_iam_role.on_premises["dev-on-premises-finance"].max_session_duration == 3600
    error_message = "Each role must be made, for an hour at a time."
  }

  assert {
    condition     = length(aws_rolesanywhere_trust_anchor.this) == 0
    error_message = "Without an authority there must be no trust anchor."
  }
}

run "group_that_does_not_exist_is_refused" {
  command = plan

  variables {
    on_premises_groups = { dev-on-premises-finance = ["hr"] }
  }

  expect_failures = [var.on_premises_groups]
}

run "role_without_the_environment_in_its_name_is_refused" {
  command = plan

  variables {
    on_premises_groups = { on-premises-finance = ["finance"] }
  }

  expect_failures = [var.on_premises_groups]
}

run "domain_with_a_word_that_cognito_reserves_is_refused" {
  command = plan

  variables {
    domain_prefix = "my-aws-login"
  }

  expect_failures = [var.domain_prefix]
}

run "unknown_mfa_is_refused" {
  command = plan

  variables {
    mfa = "SOMETIMES"
  }

  expect_failures = [var.mfa]
}

run "login_pages_are_those_that_need_no_branding" {
  command = plan

  assert {
    condition     = aws_cognito_user_pool_domain.this.managed_login_version == 1
    error_message = "Version 2 shows no login page to a client without a branding style."
  }

  assert {
    condition     = length(aws_cognito_identity_provider.saml) == 0 && alltrue([for client in aws_cognito_user_pool_client.this : client.supported_identity_providers == toset(["COGNITO"])])
    error_message = "Without saml, the pool's own users alone log in."
  }
}

run "the_companys_provider_is_one_more_way_to_log_in" {
  command = plan

  variables {
    saml = { name = "Company", metadata_url = "https://login.example.com/metadata" }
  }

  assert {
    condition     = alltrue([for client in aws_cognito_user_pool_client.this : client.supported_identity_providers == toset(["COGNITO", "Company"])])
    error_message = "Each client must offer the company's provider."
  }

  assert {
    # https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-specifying-attribute-mapping.html
    condition     = alltrue([for client in aws_cognito_user_pool_client.this : length(setsubtract(keys(aws_cognito_identity_provider.saml[0].attribute_mapping), client.write_attributes)) == 0])
    error_message = "Each client must be able to write the mapped attributes, or the login fails."
  }
}

run "metadata_without_tls_is_refused" {
  command = plan

  variables {
    saml = { name = "Company", metadata_url = "http://login.example.com/metadata" }
  }

  expect_failures = [var.saml]
}
