resource "aws_acm_certificate" "this" {
  count = var.hosted_zone_id != null ? 1 : 0

  domain_name               = local.hosts.app
  subject_alternative_names = [local.hosts.api, local.hosts.argocd]
  validation_method         = "DNS"

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_route53_record" "proof" {
  for_each = var.hosted_zone_id != null ? local.hosts : {}

  zone_id         = var.hosted_zone_id
  name            = one([for option in aws_acm_certificate.this[0].domain_validation_options : option.resource_record_name if option.domain_name == each.value])
  type            = one([for option in aws_acm_certificate.this[0].domain_validation_options : option.resource_record_type if option.domain_name == each.value])
  records         = [for option in aws_acm_certificate.this[0].domain_validation_options : option.resource_record_value if option.domain_name == each.value]
  ttl             = 300
  allow_overwrite = true
}

resource "aws_acm_certificate_validation" "this" {
  count = var.hosted_zone_id != null ? 1 : 0

  certificate_arn         = aws_acm_certificate.this[0].arn
  validation_record_fqdns = [for record in aws_route53_record.proof : record.fqdn]
}

resource "aws_route53_record" "public" {
  for_each = var.hosted_zone_id != null ? toset(["app", "api"]) : []

  zone_id = var.hosted_zone_id
  name    = local.hosts[each.key]
  type    = "A"

  alias {
    name                   = aws_lb.this["public"].dns_name
    zone_id                = aws_lb.this["public"].zone_id
    evaluate_target_health = true
  }
}

# The same names, where they are asked for inside the VPC or from on-premises, mean the internal load balancer: one
# certificate, and one address for the gateway's tokens to be bound to.
resource "aws_route53_zone" "internal" {
  for_each = toset(["api", "argocd"])

  name          = local.hosts[each.key]
  comment       = "Inside the VPC and from on-premises: the internal load balancer of ${var.environment}"
  force_destroy = false

  vpc {
    vpc_id = var.vpc_id
  }
}

resource "aws_route53_record" "internal" {
  for_each = aws_route53_zone.internal

  zone_id = each.value.zone_id
  name    = local.hosts[each.key]
  type    = "A"

  alias {
    name                   = aws_lb.this["internal"].dns_name
    zone_id                = aws_lb.this["internal"].zone_id
    evaluate_target_health = true
  }
}
