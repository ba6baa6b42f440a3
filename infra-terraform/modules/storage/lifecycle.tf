# What was deleted or overwritten stays for a day to be rescued, then goes; half uploads go after a day.
locals {
  expiration_days = {
    # A file expires when its job does; the day more keeps S3 from being first.
    files = { "uploads/" = var.file_retention_days + 1, "results/" = var.file_retention_days + 1 }
    logs  = { "" = var.log_retention_days }
    # Department data lives until its department publishes the next version of it.
    department-data = {}
  }
  noncurrent_days = { files = 1, department-data = 30, logs = 1 }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.bucket

  rule {
    id     = "clean"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }

    noncurrent_version_expiration {
      noncurrent_days = local.noncurrent_days[each.key]
    }
  }

  dynamic "rule" {
    for_each = local.expiration_days[each.key]

    content {
      id     = "expire-${rule.key == "" ? "all" : trimsuffix(rule.key, "/")}"
      status = "Enabled"

      filter {
        prefix = rule.key
      }

      expiration {
        days = rule.value
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}
