#!/usr/bin/env bash
# Sets the address at which Argo CD is reached: the key `url` of its ConfigMap, as field manager terraform.
set -euo pipefail
: "${KUBECONFIG_CONTENT:?}" "${ADDRESS:?}"

KUBECONFIG=$(mktemp)
export KUBECONFIG
trap 'rm -f "$KUBECONFIG"' EXIT
printf '%s' "$KUBECONFIG_CONTENT" > "$KUBECONFIG"

kubectl apply --server-side --field-manager=terraform --filename - <<YAML
apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
  namespace: argocd
data:
  url: $ADDRESS
YAML
