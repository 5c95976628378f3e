# SPDX-License-Identifier: MIT
"""Check files of cloud-init by the schemas of the image's own cloud-init."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from ruamel.yaml.error import YAMLError

from builder.disk.filetree import FileTree
from builder.errors import BoardwrightError, VerifyError
from builder.plan.cloud_config import ConfigFault, find_faults
from builder.plan.cloud_yaml import ValueFault, load_cloud_yaml
from builder.plan.network_config import find_network_faults
from builder.system.files import load_json
from builder.units import MIB

SCHEMAS = "/usr/lib/python3/dist-packages/cloudinit/config/schemas"

MOST_LETTERS = MIB
REBUILD = "build the image again"


class Cloud:
    """Files of cloud-init in a tree."""

    def __init__(self, tree: FileTree) -> None:
        self._tree = tree

    def load(self, path: str) -> Any:
        """Return the mapping in a YAML file; {} for other YAML, which cloud-init ignores.

        Raises VerifyError for invalid YAML and for a file that is too large to be written by hand.
        """
        text = self._tree.file(path).content_string
        if len(text) > MOST_LETTERS:
            raise VerifyError(f"{path} has {len(text)} characters; expected at most {MOST_LETTERS}", hint=REBUILD)
        try:
            content = load_cloud_yaml(text)
        except (YAMLError, ValueFault) as error:
            problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
            raise VerifyError(f"{path} of the image cannot be read by cloud-init: {problem}", hint=REBUILD) from None
        return content if isinstance(content, dict) else {}

    @cached_property
    def modules(self) -> set[str]:
        """Names of the modules of all stages, as in their documentation: users_groups."""
        stages = ("cloud_init_modules", "cloud_config_modules", "cloud_final_modules")
        config = self.load("/etc/cloud/cloud.cfg")
        names = (row if isinstance(row, str) else row[0] for stage in stages for row in config.get(stage, []))
        return {name.replace("-", "_") for name in names}

    def find_user_data_faults(self, path: str) -> list[str]:
        """Return the faults of a file by the schema of the image's own cloud-init."""
        text = self._tree.file(f"{SCHEMAS}/schema-cloud-config-v1.json").content_string
        try:
            return self._find_faults(path, lambda content: find_faults(content, load_json(text)))
        except BoardwrightError:
            raise
        except Exception as error:  # A schema may be invalid, refer to itself, or to another file.
            raise VerifyError(f"the schema of the image's cloud-init cannot be used: {error}", hint=REBUILD) from None

    def find_network_faults(self, path: str) -> list[str]:
        """Return the faults of a file that keep cloud-init and netplan from using it."""
        return self._find_faults(path, lambda content: find_network_faults(content.get("network", content)))

    def _find_faults(self, path: str, find: Callable[[dict[str, Any]], list[ConfigFault]]) -> list[str]:
        try:
            content = self.load(path)
        except VerifyError as error:
            return [error.message]
        faults = (fault for fault in find(content) if fault.is_grave)
        return [f"{'.'.join(map(str, fault.path)) or 'file'}: {fault.text}" for fault in faults]
