provider "aws" {
  region                      = "ap-southeast-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  skip_region_validation      = true
}

variables {
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

run "each_service_has_a_role_that_its_own_service_account_alone_may_use" {
  command = plan

  assert {
    condition     = keys(aws_iam_role.this) == ["agentgateway", "application", "application-worker", "aws-load-balancer-controller", "cluster-autoscaler", "department", "department-operator", "external-secrets", "frontend", "keda-operator"]
    error_message = "There must be one role for each service and controller, and one for all departments."
  }

  assert {
    condition     = alltrue([for role in values(aws_iam_role.this) : length(role.name) <= 64 && startswith(role.name, "dev-")])
    error_message = "Role names must have at most 64 characters and start with the environment: they are unique in an account."
  }

  assert {
    condition     = alltrue([for service, document in data.aws_iam_policy_document.trust : jsondecode(document.json).Statement[0].Condition.StringLike["aws:RequestTag/kubernetes-service-account"] == (service == "department" ? "mcp-*" : service)])
    error_message = "A role's trust must name its ServiceAccount."
  }

  assert {
    condition     = !contains(keys(aws_eks_pod_identity_association.this), "department") && length(aws_eks_pod_identity_association.this) == 9
    error_message = "Departments' associations are the operator's; all others are made here."
  }
}

run "departments_reach_the_folder_of_their_service_account" {
  command = plan

  assert {
    condition     = jsondecode(data.aws_iam_policy_document.department["department"].json).Statement[0].Resource == "arn:aws:s3:::dev-department-data-111122223333/departments/$${aws:PrincipalTag/kubernetes-service-account}/*"
    error_message = "The folder must come from the session's tag."
  }
}

run "irsa_gives_each_department_a_role_of_its_own" {
  command = plan

  variables {
    mode            = "irsa"
    oidc_issuer_url = "https://oidc.eks.ap-southeast-1.amazonaws.com/id/0123456789ABCDEF"
    departments     = ["finance", "hr"]
  }

  assert {
    condition     = jsondecode(data.aws_iam_policy_document.trust["mcp-hr"].json).Statement[0].Condition.StringEquals["oidc.eks.ap-southeast-1.amazonaws.com/id/0123456789ABCDEF:sub"] == "system:serviceaccount:file-processing:mcp-hr"
    error_message = "The role of hr must be for hr's ServiceAccount."
  }

  assert {
    condition     = jsondecode(data.aws_iam_policy_document.department["mcp-hr"].json).Statement[0].Resource == "arn:aws:s3:::dev-department-data-111122223333/departments/mcp-hr/*"
    error_message = "The role of hr must reach hr's folder."
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.cluster) == 1 && length(aws_eks_pod_identity_association.this) == 0
    error_message = "irsa needs the cluster's issuer as a provider, and no associations."
  }
}

run "irsa_without_an_issuer_is_refused" {
  command = plan

  variables {
    mode = "irsa"
  }

  expect_failures = [var.oidc_issuer_url]
}

run "unknown_mode_is_refused" {
  command = plan

  variables {
    mode = "keys"
  }

  expect_failures = [var.mode]
}

run "wildcard_in_a_bucket_is_refused" {
  command = plan

  variables {
    files_bucket_arn = "arn:aws:s3:::*"
  }

  expect_failures = [var.files_bucket_arn]
}
