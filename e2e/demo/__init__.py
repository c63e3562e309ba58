"""`make demo`: a real overload, alert, scale-up and restore on a real cluster, to be watched."""
