locals {
  # A zone's place in every address plan: a = 0, b = 1, ...
  zone_numbers = { for zone in var.zones : zone => index(["a", "b", "c", "d", "e", "f"], substr(zone, -1, 1)) }
  nat_zones    = var.single_nat_gateway ? [sort(var.node_zones)[0]] : var.node_zones
}

resource "aws_vpc" "this" {
  cidr_block           = var.vpc_cidr
  enable_dns_hostnames = true
  enable_dns_support   = true

  tags = { Name = "${var.environment}-file-processing" }
}

resource "aws_vpc_ipv4_cidr_block_association" "pods" {
  vpc_id     = aws_vpc.this.id
  cidr_block = var.pod_cidr
}

# Whoever names no security group gets this one, which lets nothing through.
resource "aws_default_security_group" "this" {
  vpc_id  = aws_vpc.this.id
  ingress = []
  egress  = []

  tags = { Name = "${var.environment}-default-closed" }
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.environment}-file-processing" }
}

resource "aws_subnet" "public" {
  for_each = local.zone_numbers

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.vpc_cidr, 8, 1 + each.value)

  tags = { Name = "${var.environment}-public-${each.key}" }
}

resource "aws_subnet" "internal" {
  for_each = local.zone_numbers

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.vpc_cidr, 8, 11 + each.value)

  tags = { Name = "${var.environment}-internal-${each.key}" }
}

resource "aws_subnet" "private" {
  for_each = local.zone_numbers

  vpc_id            = aws_vpc_ipv4_cidr_block_association.pods.vpc_id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.pod_cidr, 4, each.value)

  tags = { Name = "${var.environment}-private-${each.key}" }
}

resource "aws_eip" "nat" {
  #checkov:skip=CKV2_AWS_19:it is the NAT gateway's
  for_each = toset(local.nat_zones)

  domain = "vpc"

  tags = { Name = "${var.environment}-nat-${each.key}" }
}

resource "aws_nat_gateway" "this" {
  for_each = toset(local.nat_zones)

  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.public[each.key].id

  tags = { Name = "${var.environment}-${each.key}" }

  depends_on = [aws_internet_gateway.this]
}
