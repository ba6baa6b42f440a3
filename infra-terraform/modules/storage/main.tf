data "aws_partition" "current" {}

locals {
  names = {
    files           = "${var.environment}-files-${var.account_id}"
    department-data = "${var.environment}-department-data-${var.account_id}"
    logs            = "${var.environment}-logs-${var.account_id}"
  }
  arns = { for bucket, name in local.names : bucket => "arn:${data.aws_partition.current.partition}:s3:::${name}" }
}

resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_144:Files live for days, department data is published again from its source; neither is worth a second region.
  #checkov:skip=CKV2_AWS_62:Nothing listens to events of the buckets: jobs are submitted, data is polled by ETag.
  #checkov:skip=CKV_AWS_145:SSE-S3; who reads is decided by bucket policies and roles, a KMS key would add a grant to each role and keep nobody out.
  for_each = local.names

  bucket        = each.value
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = aws_s3_bucket.this

  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.bucket

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.bucket

  rule {
    # The load balancers' access logs can be written with SSE-S3 only.
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.bucket

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_logging" "this" {
  for_each = { for bucket, value in aws_s3_bucket.this : bucket => value if bucket != "logs" }

  bucket        = each.value.bucket
  target_bucket = aws_s3_bucket.this["logs"].bucket
  target_prefix = "s3/${each.key}/"
}

# The browser puts the parts of large files straight to presigned URLs, and reads each part's ETag.
resource "aws_s3_bucket_cors_configuration" "files" {
  bucket = aws_s3_bucket.this["files"].bucket

  cors_rule {
    allowed_origins = [var.app_origin]
    allowed_methods = ["PUT"]
    allowed_headers = ["*"]
    expose_headers  = ["ETag"]
    max_age_seconds = 3600
  }
}
