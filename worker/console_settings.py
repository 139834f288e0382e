"""The settings of the console, a group of `worker.settings.Settings`."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Annotated, Final, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, model_validator
from pydantic_settings import BaseSettings, NoDecode

from worker.setting_values import MetricsAddress, OptionalHeaderName, split_address, split_list

_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def _proxy(value: str) -> str:
    try:
        ip_network(value)
    except ValueError:
        raise ValueError("must be an IP address or a network such as 10.0.0.0/24") from None
    return value


def _console_url(value: str) -> str:
    parts = urlsplit(value)
    plain = parts.scheme == "http" and parts.hostname in _LOOPBACK_NAMES
    whole = parts.hostname and parts.path in ("", "/") and not parts.query
    if value and not (whole and (plain or parts.scheme == "https")):
        raise ValueError("must be an address such as https://review.example.com")
    return value.rstrip("/")


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be a time zone such as Asia/Seoul") from None
    return value


Proxies = Annotated[tuple[Annotated[str, AfterValidator(_proxy)], ...], NoDecode, BeforeValidator(split_list)]


class ConsoleSettings(BaseSettings):
    """Each field is the variable `VERIFY_` + its name in capitals."""

    # Console
    console_address: MetricsAddress = "127.0.0.1:8300"
    """Where the console listens. Anywhere but on a loopback address it needs `VERIFY_CONSOLE_URL`."""
    console_url: Annotated[str, AfterValidator(_console_url)] = ""
    """Where people open the console: `https://review.example.com`, a proxy of yours that speaks TLS. Empty:
    on this machine alone, at `VERIFY_CONSOLE_ADDRESS`."""
    console_proxies: Proxies = ()
    """Addresses or networks of that proxy: only from there is believed where a request comes from
    (`X-Forwarded-For`), and who has signed on."""
    console_sign_on_header: OptionalHeaderName = ""
    """The header in which that proxy names the account that has signed on with your company's own system.
    Empty: people sign in with a password and a second factor."""
    console_blur: bool = True
    """Whether photos are blurred while the window is not in front."""
    time_zone: Annotated[str, AfterValidator(_zone)] = "Asia/Seoul"
    """Of the times that the console shows, and of its days. The same for workers, which count its months."""

    @property
    def console_at(self) -> str:
        """The address that people open, without a slash at the end."""
        return self.console_url or f"http://{self.console_address}"

    @model_validator(mode="after")
    def _console_consistent(self) -> Self:
        if not self.console_url and not ip_address(split_address(self.console_address)[0]).is_loopback:
            raise ValueError(
                "VERIFY_CONSOLE_ADDRESS must be a loopback address (127.0.0.1), or VERIFY_CONSOLE_URL must "
                "say where people open it"
            )
        if self.console_sign_on_header and not self.console_proxies:
            raise ValueError("VERIFY_CONSOLE_SIGN_ON_HEADER needs VERIFY_CONSOLE_PROXIES")
        return self
