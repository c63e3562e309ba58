"""`make demo-stack`: a whole MonitoringStack on real pods, each part with live data, one of which fails."""
