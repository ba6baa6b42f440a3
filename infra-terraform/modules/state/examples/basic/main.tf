module "state" {
  source = "../.."

  bucket_name = "example-company-terraform-state"
}
