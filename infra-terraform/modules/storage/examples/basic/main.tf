module "storage" {
  source = "../.."

  environment = "dev"
  account_id  = "111122223333"
  app_origin  = "https://app.example.com"
}
