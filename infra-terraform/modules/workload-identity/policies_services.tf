locals {
  policies = merge(
    {
      agentgateway        = data.aws_iam_policy_document.agentgateway.json
      application         = data.aws_iam_policy_document.application.json
      application-worker  = data.aws_iam_policy_document.application_worker.json
      frontend            = data.aws_iam_policy_document.frontend.json
      department-operator = data.aws_iam_policy_document.department_operator.json
    },
    local.controllers,
  )

  uploads = "${var.files_bucket_arn}/uploads/*"
  results = "${var.files_bucket_arn}/results/*"
}

data "aws_iam_policy_document" "agentgateway" {
  # The key is named by its alias, so that a new key under it needs no new policy.
  statement {
    sid       = "SignTokens"
    actions   = ["kms:Sign", "kms:GetPublicKey"]
    resources = ["arn:${local.partition}:kms:${var.region}:${var.account_id}:key/*"]

    condition {
      test     = "ForAnyValue:StringEquals"
      variable = "kms:ResourceAliases"
      values   = [var.signing_key_alias]
    }
  }

  statement {
    sid       = "UseAnExchangeOnce"
    actions   = ["dynamodb:PutItem"]
    resources = [var.exchanges_table_arn]
  }
}

data "aws_iam_policy_document" "application" {
  statement {
    sid       = "TakeFilesInAndGiveResults"
    actions   = ["s3:GetObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    resources = [local.uploads, local.results]
  }

  statement {
    sid       = "WriteFiles"
    actions   = ["s3:PutObject"]
    resources = [local.uploads]
  }

  source_policy_documents = [data.aws_iam_policy_document.files_bucket.json]

  statement {
    sid = "JobsAndFiles"
    actions = [
      "dynamodb:BatchGetItem",
      "dynamodb:DeleteItem",
      "dynamodb:GetItem",
      "dynamodb:PutItem",
      "dynamodb:Query",
      "dynamodb:UpdateItem",
    ]
    resources = [var.jobs_table_arn]
  }

  statement {
    sid       = "Submit"
    actions   = ["sqs:SendMessage", "sqs:GetQueueAttributes"]
    resources = [var.queue_arn]
  }
}

data "aws_iam_policy_document" "application_worker" {
  statement {
    sid       = "ReadFiles"
    actions   = ["s3:GetObject"]
    resources = [local.uploads]
  }

  statement {
    sid       = "WriteResults"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    resources = [local.results]
  }

  source_policy_documents = [data.aws_iam_policy_document.files_bucket.json]

  statement {
    sid       = "AttemptsAndReports"
    actions   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
    resources = [var.jobs_table_arn]
  }

  statement {
    sid       = "SilentJobs"
    actions   = ["dynamodb:Query"]
    resources = ["${var.jobs_table_arn}/index/gsi1"]
  }

  # It sends too: jobs that went silent.
  statement {
    sid = "Work"
    actions = [
      "sqs:ChangeMessageVisibility",
      "sqs:DeleteMessage",
      "sqs:GetQueueAttributes",
      "sqs:ReceiveMessage",
      "sqs:SendMessage",
    ]
    resources = [var.queue_arn]
  }
}

# What API and worker share: the names of what an attempt left, and whether the bucket answers.
data "aws_iam_policy_document" "files_bucket" {
  # Without a condition on the prefix: HeadBucket is asked with this right, and has none.
  statement {
    sid       = "SeeWhatIsLeft"
    actions   = ["s3:ListBucket", "s3:ListBucketMultipartUploads"]
    resources = [var.files_bucket_arn]
  }
}

data "aws_iam_policy_document" "frontend" {
  statement {
    sid       = "FilesOnCanvases"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    resources = ["${var.files_bucket_arn}/frontend/*"]
  }

  statement {
    sid       = "ListFilesOnCanvases"
    actions   = ["s3:ListBucket"]
    resources = [var.files_bucket_arn]

    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["frontend/*"]
    }
  }

  # The instance's ID is AWS's to give; the login name is of this environment alone.
  dynamic "statement" {
    for_each = var.database_user == null ? [] : [var.database_user]

    content {
      sid       = "LogInToTheDatabase"
      actions   = ["rds-db:connect"]
      resources = ["arn:${local.partition}:rds-db:${var.region}:${var.account_id}:dbuser:*/${statement.value}"]
    }
  }
}

data "aws_iam_policy_document" "department_operator" {
  statement {
    sid       = "Associate"
    actions   = ["eks:CreatePodIdentityAssociation", "eks:ListPodIdentityAssociations"]
    resources = [var.cluster_arn]
  }

  statement {
    sid       = "EndAssociations"
    actions   = ["eks:DeletePodIdentityAssociation", "eks:DescribePodIdentityAssociation"]
    resources = ["arn:${local.partition}:eks:${var.region}:${var.account_id}:podidentityassociation/${var.cluster_name}/*"]
  }

  # EKS looks at the role before it associates it.
  statement {
    sid       = "LookAtTheDepartmentsRole"
    actions   = ["iam:GetRole"]
    resources = [local.department_role_arn]
  }

  statement {
    sid       = "PassTheDepartmentsRoleOnly"
    actions   = ["iam:PassRole"]
    resources = [local.department_role_arn]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["pods.eks.amazonaws.com"]
    }
  }
}

# A department reads the folder that is named like its ServiceAccount, and knows of no other.
data "aws_iam_policy_document" "department" {
  for_each = local.departments

  statement {
    sid       = "ReadItsFolder"
    actions   = ["s3:GetObject"]
    resources = ["${var.department_data_bucket_arn}/departments/${local.folder[each.key]}/*"]
  }

  # Also decides what a missing object is answered with: 404 to who may list its key, which S3 takes for the prefix; else 403.
  statement {
    sid       = "ListItsFolder"
    actions   = ["s3:ListBucket"]
    resources = [var.department_data_bucket_arn]

    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["departments/${local.folder[each.key]}/*"]
    }
  }
}

locals {
  folder              = { for role, account in local.departments : role => local.irsa ? account : "$${aws:PrincipalTag/kubernetes-service-account}" }
  department_role_arn = "arn:${local.partition}:iam::${var.account_id}:role/${var.environment}-department"
}
