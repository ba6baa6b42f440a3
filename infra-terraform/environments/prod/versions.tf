terraform {
  required_version = ">= 1.11, < 2"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
  }

  # The bucket is the account's: terraform init -backend-config=bucket=<bucket>
  backend "s3" {
    key          = "prod/terraform.tfstate"
    region       = "ap-southeast-1"
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region              = "ap-southeast-1"
  allowed_account_ids = [var.account.id]

  default_tags {
    tags = {
      Environment = "prod"
      Project     = "file-processing"
      ManagedBy   = "terraform"
    }
  }
}
