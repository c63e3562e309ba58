"""Files that Grafana's settings read: credentials and certificates, by Secret and key."""

from collections.abc import Mapping

from firewatch.api.oauth import GenericOAuth
from firewatch.api.resource import SecretKeySelector
from firewatch.api.visualization import Visualization
from firewatch.build import names
from firewatch.build.mounted_files import FileRef, either

ADMIN_PASSWORD = "admin-password"  # noqa: S105 - a file name
SECRET_KEY = "secret-key"  # noqa: S105 - a file name
DATABASE_PASSWORD = "database-password"  # noqa: S105 - a file name
DATABASE_CA = "database-ca.crt"
SMTP_PASSWORD = "smtp-password"  # noqa: S105 - a file name


def settings_files(stack: str, wanted: Visualization) -> Mapping[str, FileRef]:
    """Return the files that the settings name, by their names in Grafana's pods."""
    files: dict[str, FileRef] = {
        ADMIN_PASSWORD: admin_password(stack, wanted),
        SECRET_KEY: SecretKeySelector(name=names.grafana_keys_name(stack), key=SECRET_KEY),
    }
    if database := wanted.database:
        files[DATABASE_PASSWORD] = database.password
        if database.ca:
            files[DATABASE_CA] = either(database.ca)
    if wanted.smtp and wanted.smtp.auth_password:
        files[SMTP_PASSWORD] = wanted.smtp.auth_password
    for name, provider in wanted.login.providers.items():
        files[client_secret(name)] = provider.client_secret
        if isinstance(provider, GenericOAuth) and provider.ca:
            files[provider_ca(name)] = either(provider.ca)
    return files


def admin_password(stack: str, wanted: Visualization) -> SecretKeySelector:
    """Return where the administrator's password stands."""
    made_up = SecretKeySelector(name=names.grafana_keys_name(stack), key=ADMIN_PASSWORD)
    return wanted.admin.password or made_up


def client_secret(provider: str) -> str:
    """Return the name of the file with a provider's secret."""
    return f"{provider}-client-secret"


def provider_ca(provider: str) -> str:
    """Return the name of the file with the authorities by which a provider is known."""
    return f"{provider}-ca.crt"


def file_path(name: str) -> str:
    """Return where a file is found in Grafana's pods."""
    return f"{names.GRAFANA_FILES_DIRECTORY}/{name}"
