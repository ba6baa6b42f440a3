output "registry_host" {
  description = "Host of the registry, which the version files name."
  value       = "${var.account_id}.dkr.ecr.${var.region}.amazonaws.com"
}

output "repository_urls" {
  description = "Where images are pushed, by service."
  value       = { for name in var.repositories : name => "${var.account_id}.dkr.ecr.${var.region}.amazonaws.com/${name}" }
}

output "repository_arns" {
  description = "ARNs of the repositories, by service."
  value       = { for name in var.repositories : name => "arn:${data.aws_partition.current.partition}:ecr:${var.region}:${var.account_id}:repository/${name}" }
}
