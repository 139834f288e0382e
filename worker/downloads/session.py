"""The HTTP session of all downloads and posts: nothing out of the environment, no redirects, no cookies."""

from __future__ import annotations

from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Final

import requests
from requests_hardened import Config, HTTPSession

from worker.downloads.connections import BoundedAdapter

USER_AGENT: Final = "face-verification-worker/1"


class BoundedSession(HTTPSession):
    """Always a time-out, always our name, no proxy and no .netrc; works only inside `bounded_by`.

    ``ca_file``: authorities that are trusted beside the usual ones. ``traced``: the other side is the app's,
    and is told the trace, if there is one. Raises OSError where the file cannot be read.
    """

    def __init__(
        self,
        timeout: tuple[float, float],
        headers: Mapping[str, str],
        *,
        ca_file: str | None = None,
        traced: bool = False,
    ) -> None:
        super().__init__(
            Config(
                ip_filter_enable=False,  # checks the first address only: see worker.downloads.connections
                ip_filter_allow_loopback_ips=False,
                never_redirect=True,
                default_timeout=timeout,
                user_agent_override=USER_AGENT,
            )
        )
        self.trust_env = False
        self.headers.update({"Accept-Encoding": "identity", **headers})
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        adapter = BoundedAdapter(pool_maxsize=32, ca_file=ca_file, traced=traced)
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nothing: requests would read the whole body of a redirect, however long, even when told
        not to follow it (`Session.send`)."""
