output "bucket" {
  description = "What every other root is given: terraform init -backend-config=bucket=<this>."
  value       = module.state.bucket_name
}
