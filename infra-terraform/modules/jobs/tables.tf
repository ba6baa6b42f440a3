# One table of the application: jobs, files, uploads, recipes, and what points from one to the other.
resource "aws_dynamodb_table" "jobs" {
  #checkov:skip=CKV_AWS_119:Encrypted with DynamoDB's own key; who reads is decided by roles, a KMS key would keep nobody out.
  name                        = local.jobs_table
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "pk"
  range_key                   = "sk"
  deletion_protection_enabled = var.deletion_protection

  attribute {
    name = "pk"
    type = "S"
  }

  attribute {
    name = "sk"
    type = "S"
  }

  attribute {
    name = "gsi1pk"
    type = "S"
  }

  attribute {
    name = "gsi1sk"
    type = "S"
  }

  global_secondary_index {
    name            = "gsi1"
    hash_key        = "gsi1pk"
    range_key       = "gsi1sk"
    projection_type = "ALL"
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }

}

# Exchanges of AWS credentials that were used: one small item each, for minutes.
resource "aws_dynamodb_table" "exchanges" {
  #checkov:skip=CKV_AWS_28:What is in it is worth nothing after five minutes.
  #checkov:skip=CKV_AWS_119:Encrypted with DynamoDB's own key; it holds hashes.
  name                        = local.exchanges_table
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "id"
  deletion_protection_enabled = var.deletion_protection

  attribute {
    name = "id"
    type = "S"
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }
}
