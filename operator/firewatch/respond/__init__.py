"""AutoResponse at work: alerts in, claims on targets, decisions, writes, restore."""
