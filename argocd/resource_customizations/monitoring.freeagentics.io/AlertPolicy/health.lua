-- The same script for every kind of this group; what differs is in the resources' conditions.
local hs = {}
hs.status = "Progressing"
hs.message = "Waiting for the operator"

if obj.spec ~= nil and obj.spec.paused == true then
  hs.status = "Suspended"
  hs.message = "Paused: the operator changes nothing"
  return hs
end

-- A status that speaks of an older spec says nothing about this one.
if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return hs
end

-- What passes by itself. Argo CD ends a sync as failed as soon as anything is Degraded.
local passing = {
  PodsNotReady = true,
  SourceStarting = true,
  SourceUnreachable = true,
  StorageResizing = true,
}

for _, condition in ipairs(obj.status.conditions or {}) do
  if condition.type == "Ready" then
    hs.message = condition.message
    if condition.status == "True" then
      hs.status = "Healthy"
    end
  elseif condition.status == "False" and not passing[condition.reason] then
    hs.status = "Degraded"
    hs.message = condition.reason .. ": " .. condition.message
    return hs
  end
end
return hs
