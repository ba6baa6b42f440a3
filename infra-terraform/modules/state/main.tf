resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_18:who reads and writes state is in CloudTrail; a bucket for its log would need one itself
  #checkov:skip=CKV2_AWS_61:it has one, below, by way of the versioning that it waits for
  #checkov:skip=CKV_AWS_145:encrypted by S3's own key, which the backend asks for; see below
  bucket = var.bucket_name

  lifecycle {
    prevent_destroy = true
  }
}

# An earlier state can be had back for 90 days.
resource "aws_s3_bucket_versioning" "this" {
  bucket = aws_s3_bucket.this.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  bucket = aws_s3_bucket_versioning.this.bucket

  rule {
    id     = "earlier-states"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = 90
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

# S3's own key: Terraform's backend asks for it with each state (encrypt = true without kms_key_id), and a key of KMS that
# AWS manages could not be used from the account of another environment.
resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket = aws_s3_bucket.this.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "this" {
  bucket = aws_s3_bucket_public_access_block.this.bucket

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.this.arn, "${aws_s3_bucket.this.arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }],
      # Another account reaches the states of its own environments; which of its roles may, its IAM decides.
      flatten([for id, environments in var.environment_accounts : [
        {
          # Without a condition: S3 says that a state is not there yet only to who may list.
          Sid       = "List${id}"
          Effect    = "Allow"
          Principal = { AWS = "arn:${data.aws_partition.current.partition}:iam::${id}:root" }
          Action    = ["s3:ListBucket"]
          Resource  = [aws_s3_bucket.this.arn]
        },
        {
          Sid       = "States${id}"
          Effect    = "Allow"
          Principal = { AWS = "arn:${data.aws_partition.current.partition}:iam::${id}:root" }
          Action    = ["s3:GetObject", "s3:PutObject"]
          Resource  = [for name in environments : "${aws_s3_bucket.this.arn}/${name}/*.tfstate"]
        },
        {
          Sid       = "Locks${id}"
          Effect    = "Allow"
          Principal = { AWS = "arn:${data.aws_partition.current.partition}:iam::${id}:root" }
          Action    = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
          Resource  = [for name in environments : "${aws_s3_bucket.this.arn}/${name}/*.tfstate.tflock"]
        },
      ]]),
    )
  })
}

data "aws_partition" "current" {}
