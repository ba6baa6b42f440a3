# tflint --recursive --config "$PWD/.tflint.hcl"; examples are left out: they are calls, not modules.
plugin "terraform" {
  enabled = true
  preset  = "all"
}
