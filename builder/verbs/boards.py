# SPDX-License-Identifier: MIT
"""`boardwright boards`: the boards that can be built."""

from __future__ import annotations

import json as jsonlib

from rich.table import Table

from builder.options import BOARDS, Boards, Json
from builder.recipe.status import describe_boards
from builder.session import print_table, telling


def show_boards(boards: Boards = BOARDS, json: Json = False) -> None:
    """List the boards: title, architecture, how far each was proved, whose blobs it needs, features."""
    with telling(json=False):
        rows = describe_boards(boards)
        if json:
            print(jsonlib.dumps(rows, indent=2))
            return
        table = Table("Board", "Title", "Architecture", "Proved", "Blobs", "Features", box=None, pad_edge=False)
        for name, row in rows.items():
            blobs = "vendor's" if row["vendor_blobs"] else ""
            table.add_row(name, row["title"], row["architecture"], row["proved"], blobs, " ".join(row["features"]))
        print_table(table)
