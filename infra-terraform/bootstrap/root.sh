#!/usr/bin/env bash
# Hands the cluster over to Git (`apply`: the root Application of the folder $CLUSTER), or takes that back (`delete`).
set -euo pipefail
: "${KUBECONFIG_CONTENT:?}"

KUBECONFIG=$(mktemp)
export KUBECONFIG
trap 'rm -f "$KUBECONFIG"' EXIT
printf '%s' "$KUBECONFIG_CONTENT" > "$KUBECONFIG"

case ${1:-} in
  apply) kubectl apply --server-side --force-conflicts --field-manager=bootstrap --kustomize "${CLUSTER:?}" ;;
  delete) kubectl delete application.argoproj.io root --namespace argocd --ignore-not-found ;;
  *) echo "usage: root.sh apply | delete" >&2; exit 2 ;;
esac
