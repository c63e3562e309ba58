"""What is told of a job's targets, and that it is told in steady words."""

import pytest

from firewatch.api.stack import JobStatus
from firewatch.cluster.prometheus import ScrapedTarget
from firewatch.reconcile.targets import (
    all_up,
    explain_databases,
    job_row,
    pools_by_job,
    summarize_jobs,
)

REFUSED = ScrapedTarget(
    "http://b:1/metrics?token=hidden", 'Get "http://b:1/metrics?token=hidden": connection refused'
)
LATE = ScrapedTarget("http://a:1/metrics", "context deadline exceeded")
FINE = ScrapedTarget("http://c:1/metrics", "")
LIMITED = ScrapedTarget("http://d:1/metrics", "sample limit exceeded")


def row(targets: int, up: int, *down: ScrapedTarget, before: JobStatus | None = None) -> JobStatus:
    return job_row("j", targets, up, down=down, before=before)


def test_a_job_tells_of_its_first_target_that_does_not_answer() -> None:
    assert row(3, 1, REFUSED, LATE, FINE).message == "http://a:1/metrics: context deadline exceeded"


def test_a_kubelet_with_a_certificate_of_its_own_is_told_what_to_do() -> None:
    error = "tls: failed to verify certificate: x509: certificate signed by unknown authority"
    down = [ScrapedTarget("https://10.0.0.1:10250/metrics", error)]
    for name in ("kubelet", "cadvisor"):
        message = job_row(name, 1, 0, down=down, before=None).message
        assert message.startswith("the kubelet has signed its certificate itself")
        assert "exporters.kubelet.insecureSkipVerify" in message
        assert error in message
    assert job_row("shop", 1, 0, down=down, before=None).message.startswith("https://10.0.0.1")


def test_what_may_be_a_credential_is_left_out() -> None:
    assert row(1, 0, REFUSED).message == (
        'http://b:1/metrics: Get "http://b:1/metrics": connection refused'
    )


@pytest.mark.parametrize(
    ("targets", "up", "message"),
    [
        (0, 0, "nothing is found to scrape"),
        (2, 2, ""),
        (2, 1, "waiting for the first answers"),
    ],
)
def test_jobs_without_an_error(targets: int, up: int, message: str) -> None:
    assert row(targets, up).message == message


def test_targets_over_a_limit_are_counted() -> None:
    assert row(3, 1, LIMITED, LATE).rejected == 1


def test_words_stay_while_the_numbers_do() -> None:
    before = row(2, 1, LATE)
    assert row(2, 1, REFUSED, before=before) == before
    assert row(2, 0, REFUSED, before=before).message.startswith("http://b")
    assert row(2, 2, before=before).message == ""


def test_the_sum_of_all_jobs() -> None:
    jobs = [row(3, 1), row(2, 2)]
    assert summarize_jobs(jobs) == "3/5"
    assert summarize_jobs([]) == ""
    assert not all_up(jobs)
    assert not all_up([row(0, 0)])
    assert all_up([row(2, 2)])


def test_jobs_are_those_of_the_configuration_by_their_own_label() -> None:
    plain = {"job_name": "a"}
    probes = [
        {"job_name": f"blackbox/{name}", "static_configs": [{"labels": {"job": "blackbox"}}]}
        for name in "bc"
    ]
    several = {"job_name": "d", "static_configs": [{"labels": {"job": "e"}}, {"targets": []}]}
    found = pools_by_job({"scrape_configs": [plain, *probes, several]})
    assert found == {"a": [plain], "blackbox": probes, "d": [several]}
    assert pools_by_job({}) == {}


def test_a_database_that_lets_no_exporter_in_is_named_though_the_exporter_answers() -> None:
    fine = job_row("postgres", 1, 1, down=(), before=None)
    told = explain_databases(fine, ["db:5432/shop"])
    assert told.message.startswith("db:5432/shop: the exporter cannot log in (pg_up is 0)")
    assert "sslMode" in told.message
    assert not all_up([told])
    assert explain_databases(fine, []) == fine
    assert job_row("postgres", 1, 1, down=(), before=told).message == ""
    down = job_row("postgres", 2, 1, down=[LATE], before=None)
    assert explain_databases(down, ["db:5432/shop"]) == down
    assert explain_databases(row(1, 1), ["db:5432/shop"]) == row(1, 1)
