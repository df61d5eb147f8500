"""What `rltuner rules` prints of a rule book."""

from __future__ import annotations

import inspect

from rich.table import Table

from rltuner.console import output_console
from rltuner.rules.book import load_rulebook


def show(name_or_path: str) -> None:
    """Prints a book's rules with their weights, parameters and first line of definition."""
    book = load_rulebook(name_or_path)
    table = Table("rule", "weight", "parameters", "definition", title_justify="left")
    table.title = f"{book.name}: {book.description} (key {book.key}; SHA-256 {book.digest[:16]})"
    for name, rule in book.rules.items():
        entry = book.table["rules"][name]
        parameters = ", ".join(f"{key} = {value}" for key, value in entry.items() if key != "weight")
        definition = (inspect.getdoc(rule) or "").split("\n\n")[0].replace("\n", " ").replace("`", "")
        table.add_row(name, f"{book.weights[name]:g}", parameters, definition)
    output_console.print(table)
