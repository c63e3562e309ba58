if obj.status ~= nil and obj.status.request ~= nil then
  obj.metadata.annotations = obj.metadata.annotations or {}
  obj.metadata.annotations["monitoring.freeagentics.io/rejected"] = obj.status.request.id
end
return obj
