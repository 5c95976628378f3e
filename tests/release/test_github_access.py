# SPDX-License-Identifier: MIT
"""The server and the token that requests to GitHub use."""

from __future__ import annotations

from typing import Any

import pytest

from builder.errors import RecipeError, ReleaseError
from builder.release.github_api import load_server
from tests.support.github.double import FrontHandler
from tests.support.github.target import GitHubTarget

pytestmark = pytest.mark.node


def test_the_environment_names_the_server_and_the_token() -> None:
    assert load_server({"GH_TOKEN": "t"}).api == "https://api.github.com"
    enterprise = load_server({"GITHUB_TOKEN": "t", "GITHUB_SERVER_URL": "https://git.example/"})
    assert (enterprise.api, enterprise.web) == ("https://git.example/api/v3", "https://git.example")
    named = {"GITHUB_TOKEN": "t", "GH_TOKEN": "u", "GITHUB_API_URL": "https://a.example"}
    assert (load_server(named).api, load_server(named).token) == ("https://a.example", "t")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"GITHUB_TOKEN": ""}, "there is no token"),
        ({"GITHUB_TOKEN": "two words"}, "characters that no token has"),
        ({"GITHUB_API_URL": "http://git.example"}, "would show the token to everybody"),
        ({"GITHUB_API_URL": "ftp://git.example"}, "is no plain address"),
        ({"GITHUB_SERVER_URL": "https://joe:hunter2@git.example"}, "is no plain address"),
    ],
)
def test_a_wrong_environment_is_said(values: dict[str, str], words: str) -> None:
    with pytest.raises(RecipeError, match=words) as caught:
        load_server({"GITHUB_TOKEN": "t", **values})
    assert "hunter2" not in caught.value.message


def test_what_netrc_says_is_not_for_us(github_target: GitHubTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    (github_target.root / "netrc").write_text("machine 127.0.0.1 login joe password hunter2\n")
    monkeypatch.setenv("NETRC", str(github_target.root / "netrc"))
    github_target.release()
    github_target.check()


def test_an_upload_is_not_sent_where_it_is_less_safe(github_target: GitHubTarget) -> None:
    def behave(handler: FrontHandler) -> Any:
        for each in github_target.front.state.releases.values():
            each["upload_url"] = "ftp://elsewhere.example/{?name,label}"
        return False

    github_target.front.behave = behave
    github_target.front.state.add_release(tag_name="v1.0", draft=True)
    with pytest.raises(ReleaseError, match="is not as safe as"):
        github_target.release()
