resource "aws_ecr_repository" "this" {
  for_each = var.repositories

  name                 = each.value
  image_tag_mutability = "IMMUTABLE" # a version file names the same bytes for ever

  image_scanning_configuration {
    scan_on_push = true
  }
}

resource "aws_ecr_lifecycle_policy" "this" {
  for_each = aws_ecr_repository.this

  repository = each.value.name

  policy = jsonencode({
    # Each rule counts the images that carry its tag, so signatures, lists of parts and provenance count nowhere. There is
    # no rule for untagged ones: those refer to an image, and ECR removes them with it.
    # https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
    rules = [
      {
        rulePriority = 1 # an image that a rule selects is out of reach of the rules after it
        description  = "Promoted images: the newest ${var.kept_promoted_images} stay"
        selection    = { tagStatus = "tagged", tagPatternList = ["prod-*"], countType = "imageCountMoreThan", countNumber = var.kept_promoted_images }
        action       = { type = "expire" }
      },
      {
        rulePriority = 2
        description  = "Builds: the newest ${var.kept_images} stay"
        selection    = { tagStatus = "tagged", tagPatternList = ["build-*"], countType = "imageCountMoreThan", countNumber = var.kept_images }
        action       = { type = "expire" }
      },
    ]
  })
}

resource "aws_ecr_repository_policy" "pull" {
  for_each = length(var.pull_account_ids) > 0 ? aws_ecr_repository.this : {}

  repository = each.value.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Pull"
      Effect    = "Allow"
      Principal = { AWS = [for id in var.pull_account_ids : "arn:${data.aws_partition.current.partition}:iam::${id}:root"] }
      Action    = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    }]
  })
}

data "aws_partition" "current" {}
