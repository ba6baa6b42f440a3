module "budget" {
  source = "../.."

  environment       = "dev"
  monthly_limit_usd = 301
  alert_emails      = ["platform@example.com"]
}
