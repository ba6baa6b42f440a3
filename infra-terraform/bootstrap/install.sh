#!/usr/bin/env bash
# Installs what Argo CD needs to read Git: Argo CD itself, its projects, and the services' namespace with its rules.
# Server-side, under a field manager of its own, so that Argo CD takes over each field that Git sets, and no other.
set -euo pipefail
: "${KUBECONFIG_CONTENT:?}" "${REPOSITORY:?}" "${ENVIRONMENT:?}"

KUBECONFIG=$(mktemp)
export KUBECONFIG
trap 'rm -f "$KUBECONFIG"' EXIT
printf '%s' "$KUBECONFIG_CONTENT" > "$KUBECONFIG"

apply() {
  kubectl apply --server-side --force-conflicts --field-manager=bootstrap "$@"
}

apply --filename "$REPOSITORY/argocd/install/_settings/namespace.yaml" --filename "$REPOSITORY/base/namespace/namespace.yaml"
apply --kustomize "$REPOSITORY/argocd/install/$ENVIRONMENT"
definitions=(customresourcedefinition/{applications,applicationsets,appprojects}.argoproj.io)
# At first: to wait for a condition fails where there is none of any type yet.
kubectl wait --for='jsonpath={.status.conditions[0].type}' --timeout=60s "${definitions[@]}"
kubectl wait --for=condition=Established --timeout=60s "${definitions[@]}"
apply --namespace argocd --kustomize "$REPOSITORY/argocd/projects"
