module "registry" {
  source = "../.."

  account_id   = "111122223333"
  region       = "ap-southeast-1"
  repositories = ["agentgateway", "application"]
}
