if obj.spec ~= nil then
  obj.spec.paused = nil
end
return obj
