local actions = {}
local annotations = obj.metadata.annotations or {}
local until_when = annotations["monitoring.freeagentics.io/paused-until"]
local paused = until_when ~= nil and until_when ~= "false"
local status = obj.status or {}
local waiting = status.state == "WaitingForApproval" and status.request ~= nil

actions["pause"] = {
  ["disabled"] = paused,
  ["iconClass"] = "fa fa-fw fa-pause-circle"
}

actions["resume"] = {
  ["disabled"] = not paused,
  ["iconClass"] = "fa fa-fw fa-play-circle"
}

actions["approve"] = {
  ["disabled"] = not waiting,
  ["iconClass"] = "fa fa-fw fa-check-circle"
}

actions["reject"] = {
  ["disabled"] = not waiting,
  ["iconClass"] = "fa fa-fw fa-times-circle"
}

return actions
