module "workload_identity" {
  source = "../.."

  environment                = "dev"
  account_id                 = "111122223333"
  region                     = "ap-southeast-1"
  cluster_name               = "dev-file-processing"
  cluster_arn                = "arn:aws:eks:ap-southeast-1:111122223333:cluster/dev-file-processing"
  signing_key_alias          = "alias/dev-gateway-signing"
  files_bucket_arn           = "arn:aws:s3:::dev-files-111122223333"
  department_data_bucket_arn = "arn:aws:s3:::dev-department-data-111122223333"
  queue_arn                  = "arn:aws:sqs:ap-southeast-1:111122223333:dev-jobs"
  jobs_table_arn             = "arn:aws:dynamodb:ap-southeast-1:111122223333:table/dev-jobs"
  exchanges_table_arn        = "arn:aws:dynamodb:ap-southeast-1:111122223333:table/dev-exchanges"
}
