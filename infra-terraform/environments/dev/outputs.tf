output "platform" {
  description = "What the bootstrap, and people, ask for."
  value       = module.platform
}
