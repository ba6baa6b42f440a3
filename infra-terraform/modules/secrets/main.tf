# Only the places: a value is put in by hand or by rotation, so that neither Git nor the state holds one.
resource "aws_secretsmanager_secret" "this" {
  #checkov:skip=CKV_AWS_149:Encrypted with the account's key of Secrets Manager; who reads is decided by roles.
  #checkov:skip=CKV2_AWS_57:The frontend's key signs sessions and a webhook's URL is the receiver's: nothing here can rotate them.
  for_each = var.secrets

  name                    = each.key
  description             = each.value
  recovery_window_in_days = var.recovery_window_days
}
