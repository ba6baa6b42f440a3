module "identity" {
  source = "../.."

  environment   = "dev"
  account_id    = "111122223333"
  region        = "ap-southeast-1"
  app_url       = "https://app.dev.example.com"
  api_url       = "https://api.dev.example.com"
  argocd_url    = "https://argocd.dev.example.com"
  domain_prefix = "dev-file-processing-111122223333"
  groups        = ["finance", "finance-leads", "hr", "hr-leads", "legal", "legal-leads", "platform"]

  on_premises_groups = { dev-on-premises-finance = ["finance"] }
}
