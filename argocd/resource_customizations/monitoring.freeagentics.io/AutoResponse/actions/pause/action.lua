obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["monitoring.freeagentics.io/paused-until"] = "true"
return obj
