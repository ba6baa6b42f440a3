data "aws_iam_policy_document" "signing_key" {
  #checkov:skip=CKV_AWS_109:a key's policy; without the account's own line nobody could administer the key
  #checkov:skip=CKV_AWS_111:a key's policy speaks of its own key alone
  #checkov:skip=CKV_AWS_356:in a key's policy, * is that key
  # IAM of the account decides; the gateway's role is the only one that may sign.
  statement {
    sid       = "AccountDecidesByIam"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.current.partition}:iam::${var.account_id}:root"]
    }
  }
}

# Signs the tokens that the gateway gives to on-premises roles. The private part never leaves KMS.
resource "aws_kms_key" "signing" {
  #checkov:skip=CKV_AWS_7:KMS cannot rotate asymmetric keys; a new key under the same alias replaces it.
  description              = "Signs the tokens of ${var.environment}-agentgateway."
  customer_master_key_spec = "RSA_2048"
  key_usage                = "SIGN_VERIFY"
  deletion_window_in_days  = 30
  policy                   = data.aws_iam_policy_document.signing_key.json
}

resource "aws_kms_alias" "signing" {
  name          = local.signing_key_alias
  target_key_id = aws_kms_key.signing.key_id
}
