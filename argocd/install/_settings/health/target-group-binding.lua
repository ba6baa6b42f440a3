-- The controller writes observedGeneration only after the targets are registered.
if (obj.status or {}).observedGeneration == obj.metadata.generation then
  return {status = "Healthy", message = "Targets are registered"}
end
return {status = "Progressing", message = "Waiting for the AWS Load Balancer Controller"}
