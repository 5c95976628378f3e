# SPDX-License-Identifier: MIT
"""What Raspberry Pi Imager writes is taken: at most a key that cloud-init does not know is warned of.

What it writes for an open network is refused, as netplan 1.1 refuses it: "ASCII passphrase must be between 8 and 63
characters".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from builder.errors import RecipeError
from builder.plan.user_data import check_network_config, check_user_data

CHOICES: list[dict[str, Any]] = YAML(typ="safe").load(Path(__file__).with_name("imager.yaml"))


def test_there_are_twelve() -> None:
    assert len({each["choice"] for each in CHOICES}) == 12


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice["choice"])
def test_a_choice_is_taken(choice: dict[str, Any], tmp_path: Path) -> None:
    user_data, network = tmp_path / "user-data", tmp_path / "network-config"
    user_data.write_text(choice["user-data"], encoding="utf-8")
    network.write_text(choice.get("network-config", "network: {version: 2}\n"), encoding="utf-8")
    warnings = check_user_data(user_data)
    assert all("enable_ssh" in each or "does not know" in each for each in warnings)
    if "refused" in choice:
        with pytest.raises(RecipeError) as caught:
            check_network_config(network)
        assert caught.value.message == f"{tmp_path}/{choice['refused']}"
    else:
        assert check_network_config(network) == ()
