output "argocd" {
  description = "Where Argo CD is, for who comes by the VPN."
  value       = local.platform.argocd.url
}
