module "jobs" {
  source = "../.."

  environment = "dev"
  account_id  = "111122223333"
  region      = "ap-southeast-1"
}
