"""Scrape jobs in Prometheus' own words: what goes on to it, and what is said of the rest."""

import pytest
import yaml

from firewatch.build.raw_scrapes import RawScrapes, parse_raw_scrapes

JOB = "- job_name: shop\n  static_configs: [{targets: ['a:1']}]\n"


def parse(text: str, *taken: str) -> RawScrapes:
    return parse_raw_scrapes(text, version="1", taken=taken)


@pytest.mark.parametrize("text", [JOB, "scrape_configs:\n" + JOB])
def test_a_list_of_jobs_is_taken_with_and_without_its_heading(text: str) -> None:
    found = parse(text)
    assert found.faults == ()
    (job,) = yaml.safe_load(found.text)["scrape_configs"]
    assert job["job_name"] == "shop"


def test_scalars_stay_as_they_are_written() -> None:
    text = "- job_name: 007\n  params: {a: [yes, 010, 12:30, ~, 1e3, 'yes']}\n  sample_limit: 10\n"
    found = parse(text).text
    for scalar in ("job_name: 007", "yes", "010", "12:30", "~", "1e3", "'yes'", "sample_limit: 10"):
        assert scalar in found


@pytest.mark.parametrize(
    ("job", "fault"),
    [
        ("- just text", "is no scrape job"),
        ("- scrape_interval: 5s", "has no job_name"),
        ("- job_name: ''", "has no job_name"),
        ("- {job_name: a, scrape_intervall: s3cret}", "has a field that Prometheus does not know"),
        ("- {job_name: a, job_name: b}", "has a field twice, or one whose name is no word"),
        ("- {job_name: a, static_configs: s3cret}", "has something else where a list belongs"),
        ("- job_name: prometheus", "has the name of another job of this stack"),
        ("- job_name: mine", "has the name of another job of this stack"),
        (JOB.rstrip(), "has the name of another job of this stack"),
    ],
)
def test_a_job_that_prometheus_would_not_take_is_left_out_alone(job: str, fault: str) -> None:
    found = parse(f"{JOB}{job}\n- job_name: last\n", "mine")
    assert found.faults == (f"job 2 {fault}",)
    names = [each["job_name"] for each in yaml.safe_load(found.text)["scrape_configs"]]
    assert names == ["shop", "last"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("password: [s3cret", "it is not YAML, line 2"),
        ("a: s3cret", "it is no list of scrape jobs"),
        ("s3cret", "it is no list of scrape jobs"),
        ("", "it is no list of scrape jobs"),
        ("--- 1\n--- 2\n", "it is not YAML, line 2"),
        ("[" * 20_000, "it is not YAML"),
        ("a" * 400_001, "it is longer than 400000 characters"),
    ],
)
def test_what_is_no_list_of_jobs_is_left_out_without_a_word_of_it(text: str, fault: str) -> None:
    found = parse(text)
    assert (found.file, found.text) == ("", "")
    assert found.faults[0].startswith(fault)
    assert "s3cret" not in found.faults[0]


def test_the_name_of_the_file_tells_versions_and_selections_apart() -> None:
    one = parse_raw_scrapes(JOB, version="1", taken=())
    assert parse_raw_scrapes(JOB, version="1", taken=()) == one
    others = [
        parse_raw_scrapes(JOB, version="2", taken=()),
        parse_raw_scrapes(JOB + "- job_name: b\n", version="1", taken=()),
        parse_raw_scrapes(JOB + "- job_name: b\n", version="1", taken=["shop"]),
    ]
    assert len({one.file, *(each.file for each in others)}) == 4
