locals {
  # The ConfigMap aws-facts. A key is the name of a setting of one or more services; lists and maps are JSON.
  facts = merge({
    AWS_REGION               = var.region
    CLUSTER_NAME             = module.cluster.name
    CLUSTER_ISSUER           = module.cluster.oidc_issuer_url
    DEPARTMENT_ROLE_ARN      = module.workload_identity.department_role_arn
    FILES_BUCKET             = module.storage.files_bucket_name
    DEPARTMENT_DATA_BUCKET   = module.storage.department_data_bucket_name
    JOBS_QUEUE_URL           = module.jobs.queue_url
    JOBS_TABLE               = module.jobs.jobs_table_name
    EXCHANGES_TABLE          = module.jobs.exchanges_table_name
    PUBLIC_API_URL           = "https://${local.hosts.api}"
    PUBLIC_APP_URL           = "https://${local.hosts.app}"
    COGNITO_ISSUER           = module.identity.issuer
    COGNITO_DOMAIN_URL       = module.identity.domain_url
    COGNITO_CLIENT_IDS       = jsonencode(module.identity.client_ids)
    COGNITO_PUBLIC_CLIENT_ID = module.identity.public_client_id
    IAM_ROLE_GROUPS          = jsonencode(module.identity.iam_role_groups)
    GATEWAY_SIGNING_KEY_ID   = module.identity.signing_key_alias
    ALB_ARN                  = module.load_balancers.public_alb_arn
    STORAGE_ORIGINS          = jsonencode(["https://${module.storage.files_bucket_name}.s3.${var.region}.amazonaws.com"])
    # Five in a hundred: X-Ray takes 100,000 traces a month for nothing.
    OTEL_EXPORTER_OTLP_ENDPOINT = module.cluster.traces_endpoint
    OTEL_TRACES_SAMPLER_ARG     = "0.05"
    LOGOUT_URL                  = "${module.identity.domain_url}/logout?client_id=${module.identity.alb_client_id}&logout_uri=${urlencode("https://${local.hosts.app}")}"
    },
    var.database == null ? {} : {
      DATABASE_URL      = module.database[0].url
      DATABASE_IAM_AUTH = "true"
      STORAGE_BUCKET    = module.storage.files_bucket_name
    },
  )
}
