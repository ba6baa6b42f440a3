module "observability" {
  source = "../.."

  environment             = "dev"
  account_id              = "111122223333"
  region                  = "ap-southeast-1"
  cluster_name            = "dev-file-processing"
  alert_emails            = ["platform@example.com"]
  public_alb_arn_suffix   = "app/dev-public/50dc6c495c0c9188"
  internal_alb_arn_suffix = "app/dev-internal/60dc6c495c0c9188"
  queue_name              = "dev-jobs"
  dead_letter_queue_name  = "dev-jobs-dead"
  jobs_table_name         = "dev-jobs"
  nat_gateway_ids         = { ap-southeast-1a = "nat-0a" }
  certificate_arn         = "arn:aws:acm:ap-southeast-1:111122223333:certificate/0a1b2c3d-0000-0000-0000-000000000000"

  target_group_arn_suffixes = {
    frontend              = "targetgroup/dev-frontend/73e2d6bc24d8a067"
    agentgateway          = "targetgroup/dev-agentgateway/83e2d6bc24d8a067"
    agentgateway-internal = "targetgroup/dev-agentgateway-internal/93e2d6bc24d8a067"
  }
}
