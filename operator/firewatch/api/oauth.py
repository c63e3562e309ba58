"""Who may log in to Grafana: OAuth providers, and which role their groups have."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from firewatch.api.http_client import SecretOrConfigMap
from firewatch.api.plain import Plain, WebUrl
from firewatch.api.resource import Model, Rule, SecretKeySelector, rules

_Scope = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9:/._-]*$", max_length=256)]
_Domain = Annotated[
    str, Field(pattern=r"^[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?$", max_length=253)
]
_Organization = Annotated[
    str, Field(pattern=r"^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$", max_length=64)
]


class Roles(
    Model,
    json_schema_extra=rules(
        Rule(
            "has(self.admins) || has(self.editors) || has(self.viewers)",
            "name a group, or leave roles out",
        ),
    ),
):
    """Groups at the provider whose members have a role in Grafana; the first that fits counts."""

    admins: list[Plain] = Field(default=[], max_length=32)
    """Groups of administrators of the organization."""
    editors: list[Plain] = Field(default=[], max_length=32)
    """Groups of those who may edit dashboards."""
    viewers: list[Plain] = Field(default=[], max_length=32)
    """Groups of those who may look; with them, nobody else may log in. Without, everybody else may
    look.
    """


class Provider(Model):
    """A program at a provider, by which people log in."""

    client_id: Plain
    """Identifier of the program, as the provider gave it."""
    client_secret: SecretKeySelector
    """Secret of the program, as the provider gave it."""
    scopes: list[_Scope] = Field(default=[], max_length=16)
    """What is asked of the provider; its usual scopes when left out."""
    allowed_domains: list[_Domain] = Field(default=[], max_length=32)
    """Domains of e-mail addresses that may log in; all when left out."""
    allow_sign_up: bool = True
    """Whether somebody who has no account gets one by logging in."""
    auto_login: bool = False
    """Whether people are sent to this provider at once, without the page with the choice."""
    roles: Roles | None = None
    """Which groups have which role; everybody may look when left out."""


class GitHub(Provider):
    """GitHub. Groups are teams, as ``@organization/team``."""

    allowed_organizations: list[_Organization] = Field(default=[], max_length=32)
    """Organizations of which people must be members of one; all when left out."""
    team_ids: list[Annotated[int, Field(ge=1)]] = Field(default=[], max_length=32)
    """Teams, by number, of which people must be members of one; all when left out."""


class Google(Provider):
    """Google. Groups are e-mail addresses of groups."""

    hosted_domain: _Domain | None = None
    """Domain of the organization whose accounts are offered."""


class GenericOAuth(Provider):
    """Any other provider of OAuth 2 or OpenID Connect."""

    name: Plain = "OAuth"
    """Name on the button."""
    auth_url: WebUrl
    """Address at which people log in."""
    token_url: WebUrl
    """Address at which Grafana is given a token."""
    api_url: WebUrl | None = None
    """Address at which Grafana asks who it is; the token says it when left out."""
    groups_claim: str = Field(
        default="groups",
        pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*(\.[a-zA-Z_][a-zA-Z0-9_]*)*$",
        max_length=128,
    )
    """Where the provider's answer has the list of groups, as ``groups`` or ``realm_access.roles``."""
    use_pkce: bool = True
    """Whether to prove that who asks for the token is who has sent the person (PKCE)."""
    ca: SecretOrConfigMap | None = None
    """Certificates of the authorities by which the provider is known; the image's own when left out."""


class Login(
    Model,
    json_schema_extra=rules(
        Rule(
            "[has(self.github) && has(self.github.autoLogin) && self.github.autoLogin,"
            " has(self.google) && has(self.google.autoLogin) && self.google.autoLogin,"
            " has(self.generic) && has(self.generic.autoLogin) && self.generic.autoLogin]"
            ".filter(set, set).size() <= 1",
            "only one provider can have autoLogin",
        ),
        Rule(
            "!has(self.disableLoginForm) || !self.disableLoginForm"
            " || has(self.github) || has(self.google) || has(self.generic)",
            "disableLoginForm needs github, google or generic: nobody could log in",
        ),
    ),
):
    """Who may log in, and how."""

    disable_login_form: bool = False
    """Whether the form for name and password is not shown."""
    github: GitHub | None = None
    """By GitHub."""
    google: Google | None = None
    """By Google."""
    generic: GenericOAuth | None = None
    """By any other provider."""

    @property
    def providers(self) -> dict[str, Provider]:
        """Return the providers by the names that Grafana has for them."""
        found = {
            "github": self.github,
            "google": self.google,
            "generic_oauth": self.generic,
        }
        return {name: provider for name, provider in found.items() if provider}

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        providers = self.providers.values()
        if sum(each.auto_login for each in providers) > 1:
            raise ValueError("autoLogin: only one provider can have it")
        if self.disable_login_form and not providers:
            raise ValueError("disableLoginForm: it needs a provider; nobody could log in")
        return self
