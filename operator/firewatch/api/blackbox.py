"""Modules of the blackbox exporter: what a probe does, and when it fails."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from firewatch.api.json_path import JsonPath
from firewatch.api.resource import Model, Rule, SecretKeySelector, rules

# CEL's regular expressions are RE2 as are the exporter's, so the API server itself refuses one that
# the exporter could not read, and with it its whole configuration.
Regexp = Annotated[
    str,
    Field(
        min_length=1,
        max_length=512,
        json_schema_extra=rules(
            Rule("'x'.matches(self) in [true, false]", "it must be a regular expression (RE2)")
        ),
    ),
]
"""A regular expression in Go's syntax."""

Regexps = Annotated[list[Regexp], Field(max_length=16)]

ProbeTimeout = Annotated[
    str, Field(pattern=r"^([1-9][0-9]{0,4}ms|[1-9][0-9]{0,2}s|[1-9]m)$", max_length=8)
]
"""A time from 1ms to 9m in one unit, as both Prometheus and the exporter write it."""

_Text = Annotated[str, Field(max_length=1024)]
_Host = Annotated[str, Field(pattern=r"^[^\s/]+$", max_length=253)]


class Prober(StrEnum):
    """What a module speaks."""

    HTTP = "http"
    TCP = "tcp"
    ICMP = "icmp"
    DNS = "dns"


class IpProtocol(StrEnum):
    """A version of the Internet Protocol."""

    IP4 = "ip4"
    IP6 = "ip6"


class HttpMethod(StrEnum):
    """A method of HTTP."""

    GET = "GET"
    HEAD = "HEAD"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"
    OPTIONS = "OPTIONS"


class HttpVersion(StrEnum):
    """A version of HTTP as servers name it."""

    HTTP_1_0 = "HTTP/1.0"
    HTTP_1_1 = "HTTP/1.1"
    HTTP_2_0 = "HTTP/2.0"


class QueryType(StrEnum):
    """A type of DNS record."""

    A = "A"
    AAAA = "AAAA"
    ANY = "ANY"
    CAA = "CAA"
    CNAME = "CNAME"
    MX = "MX"
    NS = "NS"
    PTR = "PTR"
    SOA = "SOA"
    SRV = "SRV"
    TXT = "TXT"


class Transport(StrEnum):
    """How a DNS query travels."""

    UDP = "udp"
    TCP = "tcp"


class ResponseCode(StrEnum):
    """A response code of DNS."""

    NOERROR = "NOERROR"
    FORMERR = "FORMERR"
    SERVFAIL = "SERVFAIL"
    NXDOMAIN = "NXDOMAIN"
    NOTIMP = "NOTIMP"
    REFUSED = "REFUSED"


class ProbeTls(Model):
    """How the server's certificate is checked."""

    insecure_skip_verify: bool = False
    """Take any certificate. Only for endpoints whose identity does not matter."""
    server_name: _Host | None = None
    """Name that the certificate must have; the target's host when left out."""
    ca: SecretKeySelector | None = None
    """Certificates of the authorities to trust (PEM); the image's own when left out."""


class BasicAuth(Model):
    """User name and password."""

    username: str = Field(min_length=1, max_length=256)
    """User name."""
    password: SecretKeySelector
    """Key of a Secret with the password."""


class Authorization(Model):
    """The header Authorization."""

    type: str = Field(default="Bearer", pattern=r"^[A-Za-z0-9_-]+$", max_length=64)
    """Scheme, in front of the credentials."""
    credentials: SecretKeySelector
    """Key of a Secret with the credentials."""


HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&*+.^_|~-]+$", max_length=128)]
"""Name of an HTTP header."""


class HeaderMatch(Model):
    """A response header and what it is compared with."""

    header: HeaderName
    """Name of the header."""
    regexp: Regexp
    """Compared with the header's values."""
    allow_missing: bool = False
    """Whether a response without the header is left alone."""


HeaderMatches = Annotated[list[HeaderMatch], Field(max_length=16)]


class _Addressed(Model):
    """What every prober knows about addresses."""

    preferred_ip_protocol: IpProtocol = IpProtocol.IP4
    """Version of IP that is tried first."""
    ip_protocol_fallback: bool = True
    """Whether the other version is tried when a name has no address of the preferred one."""


class JsonMatch(Model):
    """A part of a JSON body, and what it is compared with."""

    path: JsonPath
    """Where it stands, as ``status`` or ``checks[0].state``."""
    equals: str = Field(max_length=256)
    """What it must be, as text: ``ok``, ``true``, ``3``; a number may stand there as one or as a text."""


class HttpAnswer(Model):
    """What is expected of an answer over HTTP."""

    valid_status_codes: list[Annotated[int, Field(ge=100, le=599)]] = Field(
        default=[], max_length=64
    )
    """Status codes that are good; 200 to 299 when empty."""
    fail_if_body_matches_regexp: Regexps = Field(default=[])
    """Fail when the body matches one of them."""
    fail_if_body_not_matches_regexp: Regexps = Field(default=[])
    """Fail when the body does not match one of them."""
    fail_if_body_json_not_matches: list[JsonMatch] = Field(default=[], max_length=16)
    """Fail when the body is no JSON, or one of these parts of it is missing or something else."""
    fail_if_header_matches: HeaderMatches = Field(default=[])
    """Fail when a header matches."""
    fail_if_header_not_matches: HeaderMatches = Field(default=[])
    """Fail when a header does not match."""


class HttpProbe(
    _Addressed,
    HttpAnswer,
    json_schema_extra=rules(
        Rule(
            "!(has(self.basicAuth) && has(self.authorization))",
            "set basicAuth or authorization, not both",
        ),
        Rule(
            "!(has(self.failIfSsl) && self.failIfSsl && has(self.failIfNotSsl)"
            " && self.failIfNotSsl)",
            "failIfSsl and failIfNotSsl together fail always; remove one",
        ),
    ),
):
    """A request over HTTP or HTTPS."""

    method: HttpMethod = HttpMethod.GET
    """Method of the request."""
    headers: dict[HeaderName, _Text] = Field(default={}, max_length=32)
    """Headers of the request; credentials belong into secretHeaders, basicAuth or authorization."""
    secret_headers: dict[
        HeaderName,
        SecretKeySelector,
    ] = Field(default={}, max_length=16)
    """Headers of the request whose values stand in Secrets; a change is sent within a minute."""
    body: str = Field(default="", max_length=8192)
    """Body of the request."""
    valid_http_versions: list[HttpVersion] = Field(default=[], max_length=3)
    """Versions of HTTP that are good; all when empty."""
    follow_redirects: bool = True
    """Whether redirects are followed."""
    fail_if_ssl: bool = False
    """Fail when the connection is encrypted."""
    fail_if_not_ssl: bool = False
    """Fail when the connection is not encrypted."""
    basic_auth: BasicAuth | None = None
    """User name and password sent with the request."""
    authorization: Authorization | None = None
    """Credentials sent with the request."""
    tls_config: ProbeTls | None = None
    """How the server's certificate is checked."""


class QueryResponse(Model):
    """A step of a conversation: what must come, what is sent then."""

    expect: Regexp | None = None
    """A line must match it, or the probe fails; its groups can be used in ``send`` as ``${1}``."""
    send: str = Field(default="", max_length=1024)
    """Line that is sent."""
    starttls: bool = False
    """Go over to TLS after this step."""


class TcpProbe(_Addressed):
    """A connection over TCP, with a conversation if one is given."""

    query_response: list[QueryResponse] = Field(default=[], max_length=32)
    """The conversation, step by step."""
    tls: bool = False
    """Whether the connection begins with TLS."""
    tls_config: ProbeTls | None = None
    """How the server's certificate is checked."""


class IcmpProbe(_Addressed):
    """An echo request (ping)."""

    payload_size: int = Field(default=0, ge=0, le=65_000)
    """Bytes of the request's payload; 0 is the exporter's own default."""
    ttl: int = Field(default=64, ge=1, le=255)
    """Time to live of the packet."""


class RecordMatch(Model):
    """What DNS records are compared with, each as a line of a zone file."""

    fail_if_matches_regexp: Regexps = Field(default=[])
    """Fail when a record matches one of them."""
    fail_if_all_match_regexp: Regexps = Field(default=[])
    """Fail when every record matches one of them."""
    fail_if_not_matches_regexp: Regexps = Field(default=[])
    """Fail when a record matches none of them."""
    fail_if_none_matches_regexp: Regexps = Field(default=[])
    """Fail when no record matches any of them."""


class DnsProbe(_Addressed):
    """A query to the DNS server that is the target."""

    query_name: str = Field(pattern=r"^[^\s]+$", max_length=255)
    """Name that is asked for."""
    query_type: QueryType = QueryType.A
    """Type of record that is asked for."""
    recursion_desired: bool = True
    """Whether the server is to ask others."""
    transport_protocol: Transport = Transport.UDP
    """How the query travels."""
    dns_over_tls: bool = False
    """Whether the query travels encrypted; ``transportProtocol`` must be ``tcp`` then."""
    tls_config: ProbeTls | None = None
    """How the server's certificate is checked."""
    valid_rcodes: list[ResponseCode] = Field(default=[], max_length=8)
    """Response codes that are good; NOERROR when empty."""
    validate_answer_rrs: RecordMatch | None = None
    """What the answer's records must be like."""
    validate_authority_rrs: RecordMatch | None = None
    """What the authority records must be like."""
    validate_additional_rrs: RecordMatch | None = None
    """What the additional records must be like."""


class ProbeModule(
    Model,
    json_schema_extra=rules(
        *(
            Rule(
                f"!has(self.{prober}) || self.prober == '{prober}'",
                f"the block {prober} needs prober {prober}; correct one of them",
            )
            for prober in Prober
        ),
        Rule("self.prober != 'dns' || has(self.dns)", "prober dns needs dns.queryName"),
        Rule(
            "!has(self.dns) || !has(self.dns.dnsOverTls) || !self.dns.dnsOverTls"
            " || (has(self.dns.transportProtocol) && self.dns.transportProtocol == 'tcp')",
            "dns.dnsOverTls needs dns.transportProtocol tcp",
        ),
    ),
):
    """A way to probe, in the fields of the blackbox exporter's own configuration."""

    prober: Prober
    """``http``, ``tcp``, ``icmp`` or ``dns``."""
    timeout: ProbeTimeout | None = None
    """How long a probe may take; the time that Prometheus gives it, less half a second, when left
    out.
    """
    http: HttpProbe | None = None
    """The request, with prober ``http``."""
    tcp: TcpProbe | None = None
    """The connection, with prober ``tcp``."""
    icmp: IcmpProbe | None = None
    """The packet, with prober ``icmp``."""
    dns: DnsProbe | None = None
    """The query, with prober ``dns``."""
