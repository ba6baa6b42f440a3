-- Argo CD has no health of its own for Applications: with it, the waves of the root wait for what they order.
local health = (obj.status or {}).health or {}
return {status = health.status or "Progressing", message = health.message or "Not compared yet"}
