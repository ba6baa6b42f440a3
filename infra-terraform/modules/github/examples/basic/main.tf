module "github" {
  source = "../.."

  account_id      = "111122223333"
  repository      = "example-company/internal-file-processing-system"
  repository_arns = ["arn:aws:ecr:ap-southeast-1:111122223333:repository/agentgateway"]
}
