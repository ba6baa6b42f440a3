locals {
  hosts = { for name in ["app", "api", "argocd"] : name => "${name}.${var.account.domain}" }

  departments = [for file in fileset(var.departments, "*.yaml") : yamldecode(file("${var.departments}/${file}"))]
  accesses    = [for department in local.departments : department.spec.access]
  groups      = setunion(["platform"], flatten([for access in local.accesses : [access.groups, lookup(access, "restrictedGroups", [])]]))
}

module "network" {
  source = "../network"

  environment             = var.environment
  account_id              = var.account.id
  region                  = var.region
  zones                   = var.zones
  node_zones              = var.node_zones
  single_nat_gateway      = var.single_nat_gateway
  interface_endpoints     = var.interface_endpoints
  on_premises_cidrs       = var.on_premises == null ? [] : tolist(var.on_premises.cidrs)
  on_premises_dns_servers = var.on_premises == null ? [] : toset(flatten(values(var.on_premises.forwarded_domains)))
  flow_log_retention_days = var.log_retention_days
}

module "cluster" {
  source = "../cluster"

  environment              = var.environment
  account_id               = var.account.id
  region                   = var.region
  kubernetes_version       = var.kubernetes_version
  addon_versions           = var.addon_versions
  node_release_version     = var.node_release_version
  control_plane_subnet_ids = values(module.network.internal_subnet_ids)
  node_subnet_ids          = module.network.node_subnet_ids
  node_group               = var.node_group
  endpoint_public_cidrs    = var.account.api_cidrs
  admin_role_arns          = var.account.admin_role_arns
  viewer_role_arns         = var.account.viewer_role_arns
  log_retention_days       = var.log_retention_days
  control_plane_logs       = var.control_plane_logs

  container_insights_seconds = var.container_insights_seconds
}

module "load_balancers" {
  source = "../load-balancers"

  environment           = var.environment
  vpc_id                = module.network.vpc_id
  public_subnet_ids     = values(module.network.public_subnet_ids)
  internal_subnet_ids   = values(module.network.internal_subnet_ids)
  domain                = var.account.domain
  hosted_zone_id        = var.account.hosted_zone_id
  certificate_arn       = var.account.certificate_arn
  pod_security_group_id = module.cluster.security_group_id
  access_logs_bucket    = module.storage.logs_bucket_name
  on_premises_cidrs     = var.on_premises == null ? [] : var.on_premises.cidrs
  deletion_protection   = var.protected
  log_retention_days    = var.log_retention_days

  cognito = {
    user_pool_arn    = module.identity.user_pool_arn
    user_pool_domain = module.identity.user_pool_domain
    client_id        = module.identity.alb_client_id
  }
}

module "on_premises" {
  source = "../on-premises"
  count  = var.on_premises == null ? 0 : 1

  environment             = var.environment
  vpc_id                  = module.network.vpc_id
  internal_subnet_ids     = module.network.internal_subnet_ids
  internal_route_table_id = module.network.internal_route_table_id
  cidrs                   = var.on_premises.cidrs
  vpn                     = { customer_gateway_ip = var.account.customer_gateway_ip }
  direct_connect          = var.on_premises.direct_connect
  forwarded_domains       = var.on_premises.forwarded_domains
  log_retention_days      = var.log_retention_days
}

module "storage" {
  source = "../storage"

  environment   = var.environment
  account_id    = var.account.id
  app_origin    = "https://${local.hosts.app}"
  force_destroy = !var.protected
}

module "jobs" {
  source = "../jobs"

  environment         = var.environment
  account_id          = var.account.id
  region              = var.region
  deletion_protection = var.protected
}

module "identity" {
  source = "../identity"

  environment                       = var.environment
  account_id                        = var.account.id
  region                            = var.region
  app_url                           = "https://${local.hosts.app}"
  api_url                           = "https://${local.hosts.api}"
  argocd_url                        = "https://${local.hosts.argocd}"
  groups                            = local.groups
  domain_prefix                     = "${var.environment}-file-processing-${var.account.id}"
  mfa                               = var.mfa
  deletion_protection               = var.protected
  on_premises_groups                = var.on_premises == null ? {} : var.on_premises.role_groups
  on_premises_certificate_authority = var.account.on_premises_certificate_authority
  saml                              = var.account.saml
}

module "workload_identity" {
  source = "../workload-identity"

  environment                = var.environment
  account_id                 = var.account.id
  region                     = var.region
  cluster_name               = module.cluster.name
  cluster_arn                = module.cluster.arn
  signing_key_alias          = module.identity.signing_key_alias
  files_bucket_arn           = module.storage.files_bucket_arn
  department_data_bucket_arn = module.storage.department_data_bucket_arn
  queue_arn                  = module.jobs.queue_arn
  jobs_table_arn             = module.jobs.jobs_table_arn
  exchanges_table_arn        = module.jobs.exchanges_table_arn
  database_user              = one(module.database[*].user)
}

module "database" {
  source = "../database"
  count  = var.database == null ? 0 : 1

  environment              = var.environment
  vpc_id                   = module.network.vpc_id
  subnet_ids               = values(module.network.internal_subnet_ids)
  client_security_group_id = module.cluster.security_group_id
  instance_class           = var.database.instance_class
  multi_az                 = var.database.multi_az
  allocated_gb             = var.database.allocated_gb
  log_retention_days       = var.log_retention_days
  deletion_protection      = var.protected
}

module "secrets" {
  source = "../secrets"

  environment          = var.environment
  recovery_window_days = var.protected ? 7 : 0 # else the names stay taken for a week after a destroy
  secrets = {
    "${var.environment}-frontend"             = "JSON with SECRET_KEY, 32 or more characters in base64url: Langflow's own encryption"
    "${var.environment}/argocd/notifications" = "JSON with webhook-url: where failed syncs are posted"
  }
}

module "observability" {
  source = "../observability"

  environment                  = var.environment
  account_id                   = var.account.id
  region                       = var.region
  cluster_name                 = module.cluster.name
  alert_emails                 = var.account.alert_emails
  nat_gateway_ids              = module.network.nat_gateway_ids
  vpn_connection_ids           = var.on_premises == null ? {} : { on-premises = module.on_premises[0].vpn_connection_id }
  certificate_arn              = module.load_balancers.certificate_arn
  public_alb_arn_suffix        = module.load_balancers.public_alb_arn_suffix
  internal_alb_arn_suffix      = module.load_balancers.internal_alb_arn_suffix
  target_group_arn_suffixes    = module.load_balancers.target_group_arn_suffixes
  queue_name                   = module.jobs.queue_name
  dead_letter_queue_name       = module.jobs.dead_letter_queue_name
  jobs_table_name              = module.jobs.jobs_table_name
  database_instance_identifier = one(module.database[*].instance_identifier)
  # Of an environment whose data may be lost, nothing is promised.
  burn_alarms = var.protected
}

module "budget" {
  source = "../budget"

  environment       = var.environment
  monthly_limit_usd = var.monthly_limit_usd
  alert_emails      = var.account.alert_emails
}

# Where this environment has an account of its own, workflows need roles there; environments/shared makes its account's.
module "github" {
  source = "../github"
  count  = var.account.github == null ? 0 : 1

  account_id         = var.account.id
  repository         = var.account.github.repository
  repository_ids     = var.account.github.repository_ids
  create_provider    = var.account.github.create_provider
  apply_environments = coalesce(var.account.github.environments, [var.environment])
}
