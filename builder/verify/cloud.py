# SPDX-License-Identifier: MIT
"""Files of cloud-init, judged by the schemas that the image's own cloud-init brings along."""

from __future__ import annotations

import json
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from builder.verify.tree import Tree

SCHEMAS = "/usr/lib/python3/dist-packages/cloudinit/config/schemas"
SHOWN = 120


class Cloud:
    """cloud-init's files of a tree."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def load(self, path: str) -> Any:
        """Return the YAML of a file; nothing but a mapping is of use to cloud-init."""
        content = YAML(typ="safe", pure=True).load(self._tree.file(path).content_string)
        return content if isinstance(content, dict) else {}

    @property
    def modules(self) -> set[str]:
        """Names of the modules that run in any stage, as in their documentation: users_groups."""
        stages = ("cloud_init_modules", "cloud_config_modules", "cloud_final_modules")
        config = self.load("/etc/cloud/cloud.cfg")
        names = (each if isinstance(each, str) else each[0] for stage in stages for each in config.get(stage, []))
        return {name.replace("-", "_") for name in names}

    def problems(self, path: str, schema: str) -> list[str]:
        """Return what a schema says against a file: where, and what is wrong there."""
        from jsonschema import Draft4Validator  # noqa: PLC0415 - slow to load, and every build imports this module

        try:
            content = self.load(path)
        except YAMLError as error:
            return [str(error)]
        # cloud-init's schemas are of draft 4; a file of the network has its mapping below `network` or without.
        rules = json.loads(self._tree.file(f"{SCHEMAS}/{schema}").content_string)
        if "network-config" in schema and "network" not in content:
            content = {"network": content}
        errors = Draft4Validator(rules).iter_errors(content)
        return [f"{'.'.join(map(str, each.absolute_path)) or 'file'}: {each.message[:SHOWN]}" for each in errors]
