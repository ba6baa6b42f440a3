"""What Terraform plans, read without an account."""
