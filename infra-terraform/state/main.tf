# The bucket in which every root keeps its state, this one's too. Made once, by first-time.
module "state" {
  source = "../modules/state"

  bucket_name          = var.bucket
  environment_accounts = var.environment_accounts
}
