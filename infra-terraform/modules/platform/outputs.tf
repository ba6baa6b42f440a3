output "facts" {
  description = "What the services are told of AWS: the ConfigMap aws-facts."
  value       = local.facts
}

output "cluster" {
  description = "The cluster, as the bootstrap reaches it."
  value = {
    name                       = module.cluster.name
    region                     = var.region
    endpoint                   = module.cluster.endpoint
    certificate_authority_data = module.cluster.certificate_authority_data
  }
}

output "argocd" {
  description = "Argo CD's own facts: its address, and the client by which people log in to it."
  value = {
    url       = "https://${local.hosts.argocd}"
    issuer    = module.identity.issuer
    client_id = module.identity.argocd_client_id
  }
}

output "names" {
  description = "What people ask for: load balancers' names for DNS elsewhere, the dashboard, the secrets that wait for a value, and the addresses from which nodes reach the internet."
  value = {
    load_balancers = module.load_balancers.dns_names
    dashboard      = module.observability.dashboard_name
    secrets        = module.secrets.secret_names
    nat_addresses  = module.network.nat_addresses
  }
}

output "on_premises" {
  description = "What on-premises is configured with: the tunnels' addresses, the resolver's, the Direct Connect gateway; null without."
  value = var.on_premises == null ? null : {
    tunnel_addresses          = module.on_premises[0].tunnel_addresses
    vpn_connection_id         = module.on_premises[0].vpn_connection_id
    resolver_addresses        = module.on_premises[0].resolver_addresses
    direct_connect_gateway_id = module.on_premises[0].direct_connect_gateway_id
  }
}
