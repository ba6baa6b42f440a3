module "secrets" {
  source = "../.."

  environment = "dev"
  secrets = {
    dev-frontend               = "JSON: SECRET_KEY"
    "dev/argocd/notifications" = "JSON: webhook-url"
  }
}
