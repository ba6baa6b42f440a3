-- A department whose data has not come yet is Suspended: nobody's fault, and no obstacle to others.
local status = obj.status or {}
if (status.observedGeneration or 0) < obj.metadata.generation then
  return {status = "Progressing", message = "Waiting for the department operator"}
end

local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end
local accepted = conditions.Accepted or {}
local upToDate = conditions.UpToDate or {}
local ready = conditions.Ready or {}

if accepted.status == "False" then
  return {status = "Degraded", message = accepted.message}
end
if upToDate.reason == "RolloutStopped" then
  return {status = "Degraded", message = upToDate.message}
end
if ready.status == "True" then
  return {status = "Healthy", message = ready.message}
end
if ready.reason == "DataMissing" then
  return {status = "Suspended", message = ready.message}
end
return {status = "Progressing", message = ready.message or "Its MCP server is starting"}
