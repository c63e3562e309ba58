"""What ``promtool`` has against a configuration that Prometheus refuses.

The words are kept beside the configuration, in the same ConfigMap, so that they are asked for once.
"""

from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.build.config_check import build_config_check, read_complaint
from firewatch.build.objects import Stack
from firewatch.cluster.apply import apply, delete
from firewatch.cluster.client import Cluster
from firewatch.cluster.errors import ClusterError, UnreachableError
from firewatch.cluster.find import find
from firewatch.cluster.kinds import CONFIG_MAP, JOB
from firewatch.reconcile.job_outcome import End, read_outcome


async def ask_complaint(cluster: Cluster, stack: Stack, wanted: Object, live: Object) -> str | None:
    """Return what promtool says, empty if it finds nothing; None while it has not said anything.

    ``live`` is the ConfigMap that holds a refused configuration, ``wanted`` the one that the stack
    asks for.
    """
    data = live["data"]
    if names.COMPLAINT_KEY in data:
        return str(data[names.COMPLAINT_KEY])
    refused = data[names.REFUSED_KEY]
    name = names.config_check_name(stack.name, refused)
    job = await find(cluster, JOB, stack.namespace, name)
    if job is None:
        return await _start(cluster, build_config_check(stack, refused))
    outcome = await read_outcome(cluster, job)
    if outcome is None:
        return None
    if outcome.end is End.NO_RESULT:
        return outcome.message  # it is asked again once this Job has been forgotten
    complaint = read_complaint(outcome.message)
    noted = {**wanted, "data": {**data, names.COMPLAINT_KEY: complaint}}
    await apply(cluster, CONFIG_MAP, noted, known=live)
    await delete(cluster, JOB, job)
    return complaint


async def _start(cluster: Cluster, job: Object) -> str | None:
    try:
        await apply(cluster, JOB, job)
    except UnreachableError:
        raise
    except ClusterError as error:
        return f"the Job for promtool: {error}"
    return None
