"""Credentials and TLS in Prometheus' words; a credential is only ever the path of a file."""

from collections.abc import Iterator

from firewatch.api.http_client import HttpClient, OAuth2, TlsConfig
from firewatch.api.resource import Object
from firewatch.build.mounted_files import FileRef, either, file_path


def http_client(client: HttpClient) -> Object:
    """Return the fields of a scrape or remote write that concern credentials and TLS."""
    found: Object = {}
    if client.authorization:
        found["authorization"] = {
            "type": client.authorization.type,
            "credentials_file": file_path(client.authorization.credentials),
        }
    if client.basic_auth:
        found["basic_auth"] = {
            "username_file": file_path(client.basic_auth.username),
            "password_file": file_path(client.basic_auth.password),
        }
    if client.oauth2:
        found["oauth2"] = _oauth2(client.oauth2)
    if client.tls_config:
        found["tls_config"] = _tls(client.tls_config)
    return found


def tls_files(client: HttpClient) -> Iterator[FileRef]:
    """Yield the files without which Prometheus would not take its configuration at all.

    A token that is missing only makes the requests fail that need it.
    """
    if tls := client.tls_config:
        yield from (either(ref) for ref in (tls.ca, tls.cert) if ref)
        if tls.key_secret:
            yield tls.key_secret


def _oauth2(oauth2: OAuth2) -> Object:
    found: Object = {
        "client_id": oauth2.client_id,
        "client_secret_file": file_path(oauth2.client_secret),
        "token_url": oauth2.token_url,
    }
    if oauth2.scopes:
        found["scopes"] = [*oauth2.scopes]
    if oauth2.endpoint_params:
        found["endpoint_params"] = {
            name: oauth2.endpoint_params[name] for name in sorted(oauth2.endpoint_params)
        }
    return found


def _tls(tls: TlsConfig) -> Object:
    fields = {
        "ca_file": tls.ca and file_path(either(tls.ca)),
        "cert_file": tls.cert and file_path(either(tls.cert)),
        "key_file": tls.key_secret and file_path(tls.key_secret),
        "server_name": tls.server_name,
        "min_version": tls.min_version and tls.min_version.value,
        "insecure_skip_verify": tls.insecure_skip_verify or None,
    }
    return {name: value for name, value in fields.items() if value is not None}
