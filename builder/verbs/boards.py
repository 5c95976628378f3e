# SPDX-License-Identifier: MIT
"""`boardwright boards`: list the boards that can be built."""

from __future__ import annotations

from builder.recipe.status import describe_boards
from builder.text import TextTable
from builder.verbs.options import BOARDS, Boards, Json
from builder.verbs.session import cli_session, print_json, print_table


def show_boards(boards: Boards = BOARDS, json: Json = False) -> None:
    """List the boards: title, architecture, how far each was tested, vendor blobs, features."""
    with cli_session(json=json, events=False):
        rows = describe_boards(boards)
        if json:
            print_json(rows, indent=2)
            return
        table = TextTable("Board", "Title", "Architecture", "Proved", "Blobs", "Features")
        for name, row in rows.items():
            blobs = "vendor's" if row["vendor_blobs"] else ""
            table.add_row(name, row["title"], row["architecture"], row["proved"], blobs, " ".join(row["features"]))
        print_table(table)
