local annotations = obj.metadata.annotations
if annotations ~= nil then
  annotations["monitoring.freeagentics.io/paused-until"] = nil
  -- Argo CD takes an empty table for an unchanged one.
  if next(annotations) == nil then
    obj.metadata.annotations = nil
  end
end
return obj
