locals {
  # Buckets of this region only: the endpoint takes no other region's traffic.
  layer_buckets = [
    "prod-${var.region}-starport-layer-bucket", # ECR: docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
    "prod-registry-k8s-io-${var.region}",       # registry.k8s.io, for callers in AWS: its cmd/archeio/internal/app/buckets.go
  ]

  own_principals = {
    Sid       = "OwnAccount"
    Effect    = "Allow"
    Principal = "*"
    Action    = "*"
    Resource  = "*"
    Condition = { StringEquals = { "aws:PrincipalAccount" = var.account_id } }
  }

  # Credentials of another account, brought into a pod, take nothing out through these endpoints.
  interface_policies = {
    sts = [
      local.own_principals,
      {
        # The gateway verifies callers by a request that they signed; a web identity has no account yet.
        Sid       = "WhoIsThis"
        Effect    = "Allow"
        Principal = "*"
        Action    = ["sts:GetCallerIdentity", "sts:AssumeRoleWithWebIdentity"]
        Resource  = "*"
      },
    ]
  }
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = concat([aws_route_table.internal.id], [for table in aws_route_table.private : table.id])

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      merge(local.own_principals, {
        Sid = "OwnBuckets"
        Condition = {
          StringEquals = { "aws:PrincipalAccount" = var.account_id, "aws:ResourceAccount" = var.account_id }
        }
      }),
      {
        # Registries send nodes to these buckets for the layers of images, without or with another account's credentials.
        Sid       = "ImageLayers"
        Effect    = "Allow"
        Principal = "*"
        Action    = "s3:GetObject"
        Resource  = [for bucket in local.layer_buckets : "arn:${data.aws_partition.current.partition}:s3:::${bucket}/*"]
      },
    ]
  })

  tags = { Name = "${var.environment}-s3" }
}

resource "aws_vpc_endpoint" "dynamodb" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${var.region}.dynamodb"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = concat([aws_route_table.internal.id], [for table in aws_route_table.private : table.id])
  policy            = jsonencode({ Version = "2012-10-17", Statement = [local.own_principals] })

  tags = { Name = "${var.environment}-dynamodb" }
}

resource "aws_vpc_endpoint" "interface" {
  for_each = var.interface_endpoints

  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.${var.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = [for zone in sort(var.node_zones) : aws_subnet.internal[zone].id]
  security_group_ids  = [aws_security_group.endpoints.id]

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = lookup(local.interface_policies, each.key, [local.own_principals])
  })

  tags = { Name = "${var.environment}-${each.key}" }
}

resource "aws_security_group" "endpoints" {
  name        = "${var.environment}-endpoints"
  description = "Interface endpoints of AWS services"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${var.environment}-endpoints" }
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  security_group_id = aws_security_group.endpoints.id
  description       = "HTTPS from nodes and pods"
  cidr_ipv4         = var.pod_cidr
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

data "aws_partition" "current" {}
